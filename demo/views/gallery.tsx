import { signal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { OwnPictures } from '../components/own-pictures.tsx';
import { PictureGrid } from '../components/picture-grid.tsx';
import * as format from '../format.ts';
import { photoModel } from '../models.ts';
import { testClasses, testLabels, testSheet } from '../pictures/sheet.ts';
import { backendChoice, inUse, knowsTestClasses, loadModel, ownModel, ownPictures } from '../state.ts';

/** Kept outside the view, so that leaving and coming back changes nothing. */
const filter = signal<number | null>(null);
const shuffleSeed = signal(0);

export function Gallery() {
  const chosenClass = filter.value;
  const seed = shuffleSeed.value;
  const indices = useMemo(() => {
    const all = Array.from(testLabels, (label, index) => ({ label, index }))
      .filter(({ label }) => chosenClass === null || label === chosenClass)
      .map(({ index }) => index);
    return seed === 0 ? all : shuffled(all, seed);
  }, [chosenClass, seed]);

  const own = inUse.value === null;
  const testPictures = (
    <>
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
      <PictureGrid sheet={testSheet} indices={indices} label="Test pictures" />
    </>
  );
  return (
    <section class="view gallery" aria-labelledby="gallery-title">
      <div class="view-head">
        <h2 id="gallery-title">
          {own ? `What ${ownModel.value?.name} says` : 'A neural network in 8‑bit integers, on your device'}
        </h2>
        <p class="lead">
          {own ? (
            'Your model on your pictures. Neither leaves this page.'
          ) : (
            <>
              Choose one of {format.count(indices.length)} pictures that it has never seen, or take your own.
              It never leaves this page.{' '}
              {inUse.value !== photoModel && (
                <button
                  type="button"
                  class="plain inline"
                  onClick={() => void loadModel(photoModel, backendChoice.value)}
                >
                  For photographs and the camera: 1,000 classes ({format.bytes(photoModel.bytes)})
                </button>
              )}
            </>
          )}
        </p>
      </div>
      {(own || ownPictures.value.length > 0) && <OwnPictures />}
      {knowsTestClasses.value ? (
        testPictures
      ) : (
        <details class="others">
          <summary>Pictures of other classes: the {format.count(testLabels.length)} test pictures</summary>
          {testPictures}
        </details>
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
