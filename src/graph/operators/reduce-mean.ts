import { constantNumbers, resolveAxis } from '../attributes.ts';
import { resolveAxes } from '../shapes.ts';
import { broadcastStrides, copyStrided } from '../strided.ts';
import { asFlatten } from './flatten.ts';
import { globalAveragePool } from './global-average-pool.ts';
import { axesAsInput, shapeOf } from './normalize-context.ts';
import { defineOperator, isFloats } from './operator.ts';
import { int, ints, since, until } from './signature.ts';

export const reduceMean = defineOperator({
  op: 'ReduceMean',
  inputs: [1, 2],
  attributes: { axes: until(18, ints()), keepdims: int(1), noop_with_empty_axes: since(18, int(0)) },
  role: 'computes',
  note: '`averagePool2d` over height and width, else `reduce`',
  /** The mean over H and W is GlobalAveragePool, then Flatten where the dimensions go. */
  normalize(node, context) {
    const input = node.inputs[0];
    const shape = shapeOf(context, input);
    if (!shape) return [node];
    const given = constantNumbers(context.graph, node.inputs[1]) ?? node.attributes.axes;
    const axes = Array.isArray(given) ? given.map((axis) => resolveAxis(Number(axis), shape.length)) : [];
    if (shape.length !== 4 || axes.toSorted().join() !== '2,3') {
      // Before, ONNX has them as an attribute alone.
      return [context.graph.opset < 18 ? node : axesAsInput(node, context)];
    }
    const pool = { ...node, op: globalAveragePool.op, inputs: [input], attributes: {} };
    if (this.number(node, 'keepdims') !== 0) return [pool];
    const pooled = context.value(`${node.name}.pooled`);
    const flatten = {
      ...asFlatten({ ...node, inputs: [pooled] }),
      name: context.value(`${node.name}.flatten`),
    };
    return [{ ...pool, outputs: [pooled] }, flatten];
  },
  shape({ shape }, _, node, { graph }) {
    const given = constantNumbers(graph, node.inputs[1]) ?? node.attributes.axes;
    if (!given && node.inputs[1]) return undefined;
    const isAll = !Array.isArray(given) || given.length === 0;
    if (isAll && this.number(node, 'noop_with_empty_axes') === 1) return shape;
    const axes = isAll ? undefined : resolveAxes(given as number[], shape.length);
    if (typeof axes === 'string') return axes;
    const keep = this.number(node, 'keepdims') !== 0;
    const reduced = (axis: number): boolean => axes?.has(axis) ?? true;
    return keep
      ? shape.map((dim, axis) => (reduced(axis) ? 1 : dim))
      : shape.filter((_, axis) => !reduced(axis));
  },
  /** The sum in float64, row-major, divided and rounded once. */
  evaluate({ node, inputs: [x, listed], shape, numbers }) {
    if (!isFloats(x)) return undefined;
    const given = listed ? numbers(node.inputs[1]) : node.attributes.axes;
    const isAll = !Array.isArray(given) || given.length === 0;
    if (isAll && this.number(node, 'noop_with_empty_axes') === 1) return { ...x, shape };
    const axes = isAll ? new Set(x.shape.keys()) : resolveAxes(given as number[], x.shape.length);
    if (typeof axes === 'string') return undefined;
    // Each element adds to the one where the reduced axes stand still.
    const kept = x.shape.map((size, axis) => (axes.has(axis) ? 1 : size));
    const total = kept.reduce((product, size) => product * size, 1);
    const places = copyStrided(
      Int32Array.from({ length: total }, (_, i) => i),
      x.shape,
      broadcastStrides(kept, x.shape),
    );
    const sums = new Float64Array(total);
    for (const [i, place] of places.entries()) sums[place] += x.data[i];
    return { dtype: 'float32', shape, data: Float32Array.from(sums, (sum) => sum / (x.data.length / total)) };
  },
});
