/** Which view is shown: the part of the address after `#`, so that a view can be linked to and the back button works. */
import { signal } from '@preact/signals';

export const VIEWS = {
  gallery: 'Gallery',
  own: 'Your model',
  inside: 'Inside',
  bits: 'Bits',
  test: 'Test set',
  verify: 'Verify',
  bench: 'Benchmark',
} as const;

export type View = keyof typeof VIEWS;

function viewOfAddress(): View {
  const name = location.hash.slice(1);
  return name in VIEWS ? (name as View) : 'gallery';
}

export const view = signal<View>(viewOfAddress());
addEventListener('hashchange', () => (view.value = viewOfAddress()));
