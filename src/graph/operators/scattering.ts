/** What ScatterElements and ScatterND do where several updates meet one element. */
import type { Node, TensorData } from '../graph.ts';
import { string } from './signature.ts';

export const reductionAttribute = string('none');

type Join = (old: number, update: number) => number;

const joins: ReadonlyMap<unknown, Join> = new Map<unknown, Join>([
  ['none', (_, update) => update],
  ['add', (old, update) => old + update],
  ['mul', (old, update) => old * update],
  ['max', (old, update) => Math.max(old, update)],
  ['min', (old, update) => Math.min(old, update)],
]);

/** Joins an update with what is there, rounded to the type; undefined for an unknown `reduction`. */
export function updater(
  node: Node,
  data: TensorData,
): ((at: number, update: number | bigint) => void) | undefined {
  const { reduction = 'none' } = node.attributes;
  const join = joins.get(reduction);
  if (!join) return undefined;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    // Of integers of 64 bits the plain copy is exact; the others only as far as float64 goes.
    return (at, update) => {
      data[at] = reduction === 'none' ? BigInt(update) : BigInt(join(Number(data[at]), Number(update)));
    };
  }
  return (at, update) => {
    data[at] = join(data[at], Number(update));
  };
}
