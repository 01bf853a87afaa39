import { defineOperator } from './operator.ts';
import { quantizeLinear as standard } from './quantize-linear.ts';
import { int } from './signature.ts';

/** ONNX Runtime's own, from when ONNX had no 16-bit types. */
export const microsoftQuantizeLinear = defineOperator({
  op: 'com.microsoft.QuantizeLinear',
  inputs: standard.inputs,
  attributes: { axis: int(1) },
  role: 'none',
  note: `read as ${standard.op}`,
  normalize: (node, context) => standard.normalize!({ ...node, op: standard.op }, context),
  shape: (...call) => standard.shape(...call),
});
