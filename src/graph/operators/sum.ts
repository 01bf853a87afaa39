import { add } from './add.ts';
import { binaryOperator } from './elementwise.ts';
import { inPairs } from './in-pairs.ts';

export const sum = binaryOperator({
  op: 'Sum',
  inputs: [1, Infinity],
  role: 'none',
  normalize: (node, context) => inPairs({ ...node, op: add.op }, context),
  binary: (a, b) => a + b,
});
