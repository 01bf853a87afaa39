import { resolveAxis } from '../attributes.ts';
import { rowMajorStrides } from '../strided.ts';
import { sizeOf, zeros } from './dense.ts';
import { defineOperator, type Value } from './operator.ts';
import { int, since } from './signature.ts';

/** The last axis of the indices lists coordinates, of an element or of a slice. */
export const gatherND = defineOperator({
  op: 'GatherND',
  since: 11,
  inputs: [2, 2],
  attributes: { batch_dims: since(12, int(0)) },
  role: 'none',
  shape({ dtype, shape }, [indices], node) {
    const batch = this.number(node, 'batch_dims');
    const depth = indices?.shape.at(-1);
    if (!indices || typeof depth !== 'number' || batch + depth > shape.length)
      return `indices of shape [${indices?.shape ?? []}] do not fit [${shape}]`;
    return { dtype, shape: [...indices.shape.slice(0, -1), ...shape.slice(batch + depth)] };
  },
  evaluate({ node, inputs: [x, indices], dtype, shape }) {
    const batch = this.number(node, 'batch_dims');
    if (!x || !indices) return undefined;
    const starts = sliceStarts(indices, x.shape, batch);
    if (!starts) return undefined;
    const length = sizeOf(x.shape.slice(batch + indices.shape.at(-1)!));
    const data = zeros(dtype, starts.length * length);
    for (const [i, start] of starts.entries())
      data.set(x.data.subarray(start, start + length) as never, i * length);
    return { dtype, shape, data };
  },
});

/** Where in a tensor of `shape` the slices that `indices` lists begin; undefined where one lies outside. */
export function sliceStarts(indices: Value, shape: readonly number[], batch: number): number[] | undefined {
  const depth = indices.shape.at(-1)!;
  const strides = rowMajorStrides(shape);
  const count = sizeOf(indices.shape.slice(0, -1));
  const perBatch = count / sizeOf(shape.slice(0, batch));
  const starts: number[] = [];
  for (let i = 0; i < count; i++) {
    let start = Math.floor(i / perBatch) * (batch === 0 ? 0 : strides[batch - 1]);
    for (let at = 0; at < depth; at++) {
      const place = resolveAxis(Number(indices.data[i * depth + at]), shape[batch + at]);
      if (place === undefined) return undefined;
      start += place * strides[batch + at];
    }
    starts.push(start);
  }
  return starts;
}
