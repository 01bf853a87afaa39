import { useEffect, useRef } from 'preact/hooks';
import { FileDrop } from './pictures/file-drop.tsx';
import { Notice } from './components/notice.tsx';
import { Status } from './components/status.tsx';
import { Panel } from './panel.tsx';
import { VIEWS, view, type View } from './route.ts';
import { Bench } from './views/bench.tsx';
import { Bits } from './views/bits.tsx';
import { Gallery } from './views/gallery.tsx';
import { Inside } from './views/inside.tsx';
import { TestSet } from './views/test-set.tsx';
import { Verify } from './views/verify.tsx';

const PAGES: Record<View, () => preact.JSX.Element> = {
  gallery: Gallery,
  test: TestSet,
  inside: Inside,
  bits: Bits,
  verify: Verify,
  bench: Bench,
};

const HOME = document.title;

export function App() {
  const Page = PAGES[view.value];
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    document.title = view.value === 'gallery' ? HOME : `${VIEWS[view.value]} · Octet`;
    // On a phone the row of views scrolls.
    const row = nav.current!;
    const current = row.querySelector<HTMLElement>('[aria-current]')!;
    row.scrollTo({ left: current.offsetLeft - row.offsetLeft - (row.clientWidth - current.offsetWidth) / 2 });
  }, [view.value]);
  return (
    <FileDrop>
      <header>
        <div class="top">
          <a class="brand" href="#gallery" aria-label="Octet">
            <Mark />
            <span>Octet</span>
          </a>
          <nav ref={nav} aria-label="Views">
            {Object.entries(VIEWS).map(([name, title]) => (
              <a key={name} href={`#${name}`} aria-current={name === view.value ? 'page' : undefined}>
                {title}
              </a>
            ))}
          </nav>
        </div>
        <div class="intro">
          <h1>An image classifier in 8-bit integers, running on your device</h1>
          <p>Pick a picture, or drop or paste your own: it never leaves this page.</p>
        </div>
      </header>
      <Status />
      <Notice />
      <div class="columns">
        <Panel />
        <main>
          <Page key={view.value} />
        </main>
      </div>
    </FileDrop>
  );
}

/** Eight units: an octet. */
function Mark() {
  const bits = [1, 0, 1, 1, 0, 1, 0, 1];
  return (
    <svg class="mark" viewBox="0 0 22 12" aria-hidden="true">
      {bits.map((bit, index) => (
        <rect
          key={index}
          x={(index % 4) * 6}
          y={Math.floor(index / 4) * 7}
          width="4"
          height="5"
          rx="1"
          opacity={bit ? 1 : 0.35}
        />
      ))}
    </svg>
  );
}
