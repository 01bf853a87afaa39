import { resolveAxis } from '../attributes.ts';
import type { TensorData } from '../graph.ts';
import { movingOperator, wholeAxes } from './moving.ts';
import { int } from './signature.ts';

export const gather = movingOperator({
  op: 'Gather',
  inputs: [2, 2],
  attributes: { axis: int(0) },
  shape({ shape }, [indices], node) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (axis === undefined) return `axis is outside a tensor of shape [${shape}]`;
    return [...shape.slice(0, axis), ...(indices?.shape ?? []), ...shape.slice(axis + 1)];
  },
  sizes(node, context) {
    const from = context.elements(node.inputs[0]);
    const picked = context.numbers(node.inputs[1])?.map((index) => from?.at(index));
    return picked?.every((dim) => dim !== undefined) ? picked : undefined;
  },
  move(node, { from, to, numbers }) {
    const axis = resolveAxis(this.number(node, 'axis'), from.length);
    const indices = numbers(node.inputs[1] ?? '');
    if (axis === undefined || !indices) return undefined;
    const indexRank = to.length - from.length + 1;
    if (indexRank > 1) return 'is picked by indices of several dimensions, which is not supported';
    const axes = wholeAxes(from);
    const own = axes[axis];
    const positions = indices.map((index) => resolveAxis(index, from[axis]));
    const outside = positions.indexOf(undefined);
    if (outside >= 0) return `is element ${indices[outside]} of ${from[axis]}`;
    const picked = Int32Array.from(positions, (position) => own[position!]);
    if (indexRank === 1) return { axes: axes.with(axis, picked) };
    // A single index takes the axis away: what it adds, the last one left adds.
    const left = axes.toSpliced(axis, 1);
    const last = left.pop();
    return last && { axes: [...left, last.map((at) => at + picked[0])] };
  },
  evaluate({ node, inputs: [x, indices], shape }) {
    const axis = x && resolveAxis(this.number(node, 'axis'), x.shape.length);
    if (!x || !indices || axis === undefined) return undefined;
    const size = x.shape[axis];
    const positions = new Int32Array(indices.data.length);
    for (let i = 0; i < positions.length; i++) {
      const position = resolveAxis(Number(indices.data[i]), size);
      if (position === undefined) return undefined;
      positions[i] = position;
    }
    const inner = x.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    const outer = x.shape.slice(0, axis).reduce((product, dim) => product * dim, 1);
    const data = new (x.data.constructor as new (length: number) => TensorData)(
      outer * positions.length * inner,
    );
    let to = 0;
    for (let o = 0; o < outer; o++) {
      for (const position of positions) {
        const from = (o * size + position) * inner;
        data.set(x.data.subarray(from, from + inner) as never, to);
        to += inner;
      }
    }
    return { dtype: x.dtype, shape, data };
  },
});
