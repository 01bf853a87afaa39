import type { Node } from '../graph.ts';
import { unaryOperator } from './elementwise.ts';
import { float32Scalar, without } from './normalize-context.ts';
import { float, until } from './signature.ts';

/** Bounds of a Clip, infinite where left out; undefined where they are computed. `constant` as in `unary`. */
export function clipBounds(
  node: Node,
  constant: (name: string) => number | undefined,
): readonly [lo: number, hi: number] | undefined {
  const [, min = '', max = ''] = node.inputs;
  const lo = min === '' ? -Infinity : constant(min);
  const hi = max === '' ? Infinity : constant(max);
  return lo === undefined || hi === undefined ? undefined : [lo, hi];
}

export const clip = unaryOperator({
  op: 'Clip',
  inputs: [1, 3],
  attributes: { min: until(11, float()), max: until(11, float()) },
  role: 'clamps',
  /** Bounds were attributes before opset 11. */
  normalize(node, context) {
    if (context.graph.opset >= 11) return [node];
    const inputs = [node.inputs[0]];
    for (const bound of ['min', 'max']) {
      const value = node.attributes[bound];
      const isGiven = typeof value === 'number';
      inputs.push(isGiven ? context.constant(`${node.name}.${bound}`, float32Scalar(value)) : '');
    }
    while (inputs.at(-1) === '') inputs.pop();
    return [{ ...node, inputs, attributes: without(node, 'min', 'max') }];
  },
  unary(node, constant) {
    const [lo, hi] = clipBounds(node, constant) ?? [];
    return lo === undefined || hi === undefined ? undefined : (x) => Math.min(hi, Math.max(lo, x));
  },
});
