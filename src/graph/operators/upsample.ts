import { defineOperator } from './operator.ts';
import { scaledByOldRule } from './resize.ts';
import { floats, required, string, until } from './signature.ts';

/** What Resize is since opset 10: https://onnx.ai/onnx/operators/onnx__Upsample.html */
export const upsample = defineOperator({
  op: 'Upsample',
  inputs: [1, 2],
  attributes: { mode: string('nearest'), scales: until(9, required(floats())) },
  role: 'none',
  normalize(node, context) {
    const { scales } = node.attributes;
    const given = context.graph.constants.get(node.inputs[1] ?? '')?.data ?? [];
    const list = Array.isArray(scales) ? (scales as number[]) : Array.from(given, Number);
    return [scaledByOldRule(node, list, context)];
  },
  shape: () => undefined,
});
