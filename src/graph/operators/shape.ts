import type { Node } from '../graph.ts';
import { defineOperator } from './operator.ts';
import { int, since } from './signature.ts';

function range({ attributes: { start = 0, end } }: Node, rank: number): [start: number, end: number] {
  const clamp = (value: number) => Math.min(rank, Math.max(0, value < 0 ? value + rank : value));
  return [clamp(Number(start)), clamp(Number(end ?? rank))];
}

export const shape = defineOperator({
  op: 'Shape',
  inputs: [1, 1],
  attributes: { start: since(15, int(0)), end: since(15, int()) },
  role: 'none',
  shape({ shape: dims }, _, node) {
    const [start, end] = range(node, dims.length);
    return { dtype: 'int64', shape: [Math.max(0, end - start)] };
  },
  sizes(node, { graph }, values) {
    const dims = (values.get(node.inputs[0]) ?? graph.constants.get(node.inputs[0]))?.shape;
    return dims?.slice(...range(node, dims.length));
  },
  evaluate({ node, inputs: [x], shape: length }) {
    const dims = x?.shape.slice(...range(node, x.shape.length));
    return dims && { dtype: 'int64', shape: length, data: BigInt64Array.from(dims, BigInt) };
  },
});
