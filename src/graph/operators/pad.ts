import { constantNumbers } from '../attributes.ts';
import type { Dimension } from '../graph.ts';
import { float32Scalar, int64, without } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
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
});
