import { resolveAxis } from '../attributes.ts';
import type { Dimension, Node } from '../graph.ts';
import { rowMajorStrides } from '../strided.ts';
import { movingOperator } from './moving.ts';
import { float32Scalar, int64, without } from './normalize-context.ts';
import { OUTSIDE } from './operator.ts';
import { float, ints, required, string, until } from './signature.ts';
import type { NumbersOf } from '../strided.ts';

export const pad = movingOperator({
  op: 'Pad',
  inputs: [1, 4],
  attributes: { mode: string('constant'), pads: until(11, required(ints())), value: until(11, float(0)) },
  note: '`move`; zeros before a convolution or pool are folded into it before quantization',
  /** A value that the input does not have needs a place among the integers. */
  computes(node, constant) {
    const [, , value = ''] = node.inputs;
    return isConstant(node) && value !== '' && constant(value) !== 0;
  },
  /** Pads and value were attributes before opset 11. */
  normalize(node, context) {
    const { pads, value } = node.attributes;
    if (!Array.isArray(pads)) return [node];
    const inputs = [node.inputs[0], context.constant(`${node.name}.pads`, int64(pads as number[]))];
    if (typeof value === 'number' && value !== 0) {
      inputs.push(context.constant(`${node.name}.value`, float32Scalar(value)));
    }
    return [{ ...node, inputs, attributes: without(node, 'pads', 'value') }];
  },
  shape({ shape }, _, node, { numbers }) {
    const pads = padsOf(node, shape.length, numbers);
    if (typeof pads !== 'object') return pads;
    const result: Dimension[] = [];
    for (const [axis, dim] of shape.entries()) {
      const added = pads[axis] + pads[axis + shape.length];
      if (typeof dim === 'number' && dim + added < 0)
        return `pads [${pads.join()}] cut more than there is of [${shape}]`;
      if (typeof dim === 'number') result.push(dim + added);
      else result.push(added === 0 ? dim : `${node.outputs[0]}.${axis}`);
    }
    return result;
  },
  move(node, { from, to, numbers, scalar }) {
    const pads = padsOf(node, from.length, numbers);
    const [, , value = ''] = node.inputs;
    const fill = isConstant(node) && value !== '' ? scalar(value) : 0;
    if (typeof pads !== 'object' || fill === undefined) return pads as string | undefined;
    const mode = node.attributes.mode ?? 'constant';
    const strides = rowMajorStrides(from);
    const axes = from.map((size, axis) => {
      // What is cut off is so before the rest is repeated or reflected.
      const cut = Math.max(0, -pads[axis]);
      const left = size - cut - Math.max(0, -pads[axis + from.length]);
      const added = Math.max(0, pads[axis]);
      return Array.from({ length: to[axis] }, (_, i) => {
        const at = paddedIndex(i - added, left, mode);
        return at === OUTSIDE || at === undefined ? at : (cut + at) * strides[axis];
      });
    });
    const isKnown = axes.every((list): list is number[] => list.every((at) => at !== undefined));
    return isKnown ? { axes, fill } : `is padded in mode ${JSON.stringify(mode)}, which is not supported`;
  },
});

function isConstant(node: Node): boolean {
  return (node.attributes.mode ?? 'constant') === 'constant';
}

/** What is added before each of `rank` axes, then behind each. */
function padsOf(node: Node, rank: number, numbers: NumbersOf): readonly number[] | string | undefined {
  const [, padsName = '', , axesName = ''] = node.inputs;
  const pads = numbers(padsName);
  if (!pads?.every(Number.isInteger)) return undefined;
  const listed = axesName === '' ? undefined : numbers(axesName);
  if (axesName !== '' && !listed) return undefined;
  const axes = listed?.map((axis) => resolveAxis(axis, rank)) ?? Array.from({ length: rank }, (_, i) => i);
  if (pads.length !== 2 * axes.length) return `has ${pads.length} pads, expected ${2 * axes.length}`;
  const result = new Array<number>(2 * rank).fill(0);
  for (const [i, axis] of axes.entries()) {
    if (axis === undefined) return `axes [${listed!.join()}] do not fit a tensor of rank ${rank}`;
    result[axis] = pads[i];
    result[axis + rank] = pads[i + axes.length];
  }
  return result;
}

/**
 * The element of an axis of `size` that stands at `index`, perhaps before or behind it; undefined where the mode cannot tell.
 * Reflection may go back and forth several times.
 */
function paddedIndex(index: number, size: number, mode: unknown): number | undefined {
  if (index >= 0 && index < size) return index;
  if (mode === 'constant') return OUTSIDE;
  if (size === 0) return undefined;
  const modulo = (period: number) => ((index % period) + period) % period;
  switch (mode) {
    case 'edge':
      return index < 0 ? 0 : size - 1;
    case 'wrap':
      return modulo(size);
    case 'reflect': {
      if (size === 1) return 0;
      const at = modulo(2 * size - 2);
      return at < size ? at : 2 * size - 2 - at;
    }
    default:
      return undefined;
  }
}
