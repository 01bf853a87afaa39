import { evaluatePool, largestOf, poolShape, poolWindow } from './images.ts';
import { firstOutputOnly, without } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
import { int, ints } from './signature.ts';

export const maxPool = defineOperator({
  op: 'MaxPool',
  inputs: [1, 1],
  outputs: 2,
  attributes: { ...poolWindow, dilations: ints(), storage_order: int(0) },
  role: 'selects',
  homogeneous: true,
  normalize: (node, context) => [
    { ...firstOutputOnly(node, context, 'indices'), attributes: without(node, 'storage_order') },
  ],
  shape: poolShape,
  evaluate: (call) => evaluatePool(call, largestOf),
});
