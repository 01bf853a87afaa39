/** The query of the address: what is chosen, so that a link shows the same. Views are behind the `#` (route.ts). */
import { effect, signal, type Signal } from '@preact/signals';

const query = new URLSearchParams(location.search);

/** Called once for all changes of a turn: browsers limit how often an address may change. */
let pending = false;
function write(): void {
  if (pending) return;
  pending = true;
  setTimeout(() => {
    pending = false;
    const text = query.toString().replaceAll('%2F', '/');
    history.replaceState(history.state, '', `${location.pathname}${text && `?${text}`}${location.hash}`);
  }, 200);
}

/** What the address says of `name` at the start; null where it says nothing. */
export const asked = (name: string): string | null => query.get(name);

/** Keeps `name` in the address up to date; null takes it out. */
export function keepInAddress(name: string, read: () => string | null): void {
  effect(() => {
    const value = read();
    if (value === query.get(name)) return;
    if (value === null) query.delete(name);
    else query.set(name, value);
    write();
  });
}

/** A number from 0 that the address keeps, counted from 1 there. */
export function addressedIndex(name: string): Signal<number> {
  const start = Number(asked(name) ?? 1) - 1;
  const index = signal(Number.isInteger(start) && start >= 0 ? start : 0);
  keepInAddress(name, () => (index.value === 0 ? null : String(index.value + 1)));
  return index;
}
