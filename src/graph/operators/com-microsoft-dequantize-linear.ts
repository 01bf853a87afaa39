import { defineOperator } from './operator.ts';
import { dequantizeLinear as standard } from './dequantize-linear.ts';
import { int } from './signature.ts';

/** ONNX Runtime's own, from when ONNX had no 16-bit types. */
export const microsoftDequantizeLinear = defineOperator({
  op: 'com.microsoft.DequantizeLinear',
  inputs: standard.inputs,
  attributes: { axis: int(1) },
  role: 'none',
  note: `read as ${standard.op}`,
  normalize: (node, context) => standard.normalize!({ ...node, op: standard.op }, context),
  shape: (...call) => standard.shape(...call),
});
