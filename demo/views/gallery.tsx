import { signal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { PictureGrid } from '../components/picture-grid.tsx';
import * as format from '../format.ts';
import { testClasses, testCount } from '../pictures/sheet.ts';
import { sheet } from '../state.ts';

/** Kept outside the view, so that leaving and coming back changes nothing. */
const filter = signal<number | null>(null);
const shuffleSeed = signal(0);

export function Gallery() {
  const pictures = sheet.value;
  const chosenClass = filter.value;
  const seed = shuffleSeed.value;
  const indices = useMemo(() => {
    if (!pictures) return [];
    const all = Array.from(pictures.labels, (label, index) => ({ label, index }))
      .filter(({ label }) => chosenClass === null || label === chosenClass)
      .map(({ index }) => index);
    return seed === 0 ? all : shuffled(all, seed);
  }, [pictures, chosenClass, seed]);

  return (
    <section class="view gallery" aria-labelledby="gallery-title">
      <div class="view-head">
        <h2 id="gallery-title">Pictures it has never seen</h2>
        <p class="lead">
          {format.count(pictures ? indices.length : testCount)} test pictures of CIFAR-10, 32 × 32 pixels
          each. The network learned from others.
        </p>
      </div>
      <div class="filters">
        <div class="chips" role="group" aria-label="Show class">
          {['all', ...testClasses].map((name, position) => {
            const value = position === 0 ? null : position - 1;
            return (
              <button
                key={name}
                type="button"
                class="chip"
                aria-pressed={chosenClass === value}
                onClick={() => (filter.value = value)}
              >
                {name}
              </button>
            );
          })}
        </div>
        <button type="button" class="plain" onClick={() => shuffleSeed.value++}>
          Shuffle
        </button>
      </div>
      {pictures ? (
        <PictureGrid sheet={pictures} indices={indices} label="Test pictures" />
      ) : (
        <div class="picture-grid" />
      )}
    </section>
  );
}

/** Fisher and Yates, with a small linear congruential generator: the same seed gives the same order. */
function shuffled(items: readonly number[], seed: number): number[] {
  const result = [...items];
  let state = seed * 2654435761;
  for (let last = result.length - 1; last > 0; last--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    [result[last], result[other]] = [result[other], result[last]];
  }
  return result;
}
