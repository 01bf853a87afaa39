import { constantNumbers } from '../attributes.ts';
import type { Dimension } from '../graph.ts';
import { rowMajorStrides } from '../strided.ts';
import { movedElements } from './moving.ts';
import { float32Scalar, int64, without } from './normalize-context.ts';
import { defineOperator, OUTSIDE } from './operator.ts';
import { float, ints, required, string, until } from './signature.ts';

export const pad = defineOperator({
  op: 'Pad',
  inputs: [1, 4],
  attributes: { mode: string('constant'), pads: until(11, required(ints())), value: until(11, float(0)) },
  role: 'none',
  note: 'in float models only: zeros, folded before quantization',
  remedy:
    'pads with zeros only where `octet quantize` can merge it into the convolution or pool behind it, before quantizing',
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
  shape({ shape }, _, node, { graph }) {
    const pads = constantNumbers(graph, node.inputs[1]) ?? node.attributes.pads;
    if (!Array.isArray(pads) || node.inputs[3]) return undefined;
    if (pads.length !== 2 * shape.length) return `has ${pads.length} pads, expected ${2 * shape.length}`;
    const result: Dimension[] = [];
    for (const [axis, dim] of shape.entries()) {
      const added = Number(pads[axis]) + Number(pads[axis + shape.length]);
      if (typeof dim === 'number' && dim + added < 0)
        return `pads [${pads}] cut more than there is of [${shape}]`;
      if (typeof dim === 'number') result.push(dim + added);
      else result.push(added === 0 ? dim : `${node.outputs[0]}.${axis}`);
    }
    return result;
  },
  evaluate({ node, inputs: [x, , value], shape, numbers }) {
    const pads = numbers(node.inputs[1]);
    const mode = node.attributes.mode ?? 'constant';
    if (!x || pads?.length !== 2 * shape.length) return undefined;
    const strides = rowMajorStrides(x.shape);
    const lists = x.shape.map((size, axis) => {
      return Array.from({ length: shape[axis] }, (_, i) => {
        const at = paddedIndex(i - pads[axis], size, mode);
        return at === OUTSIDE || at === undefined ? at : at * strides[axis];
      });
    });
    if (!lists.every((list): list is number[] => list.every((at) => at !== undefined))) return undefined;
    return movedElements(x, shape, { axes: lists, fill: value ? Number(value.data[0]) : 0 });
  },
});

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
