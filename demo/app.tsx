import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { FileDrop } from './pictures/file-drop.tsx';
import { Notice } from './components/notice.tsx';
import { Status } from './components/status.tsx';
import { Panel } from './panel.tsx';
import { VIEWS, view, type View } from './route.ts';
import { floatModel, messageOf, notice } from './state.ts';
import { Gallery } from './views/gallery.tsx';

type Page = () => preact.JSX.Element;

/** All but the first view are fetched when they are looked at, or when there is nothing else to do. */
const LATER: Record<Exclude<View, 'gallery'>, () => Promise<Page>> = {
  own: async () => (await import('./views/own.tsx')).Own,
  inside: async () => (await import('./views/inside.tsx')).Inside,
  bits: async () => (await import('./views/bits.tsx')).Bits,
  test: async () => (await import('./views/test-set.tsx')).TestSet,
  verify: async () => (await import('./views/verify.tsx')).Verify,
  bench: async () => (await import('./views/bench.tsx')).Bench,
};

const pages = signal<Partial<Record<View, Page>>>({ gallery: Gallery });

async function openPage(name: View): Promise<void> {
  if (name === 'gallery' || pages.peek()[name]) return;
  const page = await LATER[name]();
  pages.value = { ...pages.peek(), [name]: page };
}

/** So that a visitor waits for no view, not even without a network. */
export async function openAllPages(): Promise<void> {
  for (const name of Object.keys(LATER) as View[]) await openPage(name);
}

const HOME = document.title;

export function App() {
  const shown = view.value;
  const Page = pages.value[shown];
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    document.title = shown === 'gallery' ? HOME : `${VIEWS[shown]} · Octet`;
    // On a phone the row of views scrolls.
    const row = nav.current!;
    const current = row.querySelector<HTMLElement>('[aria-current]')!;
    row.scrollTo({ left: current.offsetLeft - row.offsetLeft - (row.clientWidth - current.offsetWidth) / 2 });
    scrollTo(0, 0);
    openPage(shown).catch((error: unknown) => {
      notice.value = `This view could not be loaded: ${messageOf(error)}`;
    });
  }, [shown]);
  const float = floatModel.value;
  useEffect(() => {
    if (!float) return;
    floatModel.value = null;
    location.hash = 'own';
    import('./own.ts')
      .then(({ openOwn }) => openOwn(float))
      .catch((error: unknown) => (notice.value = `${float.name}: ${messageOf(error)}`));
  }, [float]);
  return (
    <FileDrop>
      <header class="top">
        <h1>
          <a class="brand" href="#gallery" aria-label="Octet">
            <Mark />
            <span>Octet</span>
          </a>
        </h1>
        <nav ref={nav} aria-label="Views">
          {Object.entries(VIEWS).map(([name, title]) => (
            <a key={name} href={`#${name}`} aria-current={name === shown ? 'page' : undefined}>
              {title}
            </a>
          ))}
        </nav>
      </header>
      <Status />
      <Notice />
      <div class="columns">
        <Panel />
        <main>{Page && <Page key={shown} />}</main>
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
