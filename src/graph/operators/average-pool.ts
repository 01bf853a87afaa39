import { evaluatePool, sumOf, poolShape, poolWindow } from './images.ts';
import { defineOperator } from './operator.ts';
import { int, ints, since } from './signature.ts';

export const averagePool = defineOperator({
  op: 'AveragePool',
  inputs: [1, 1],
  attributes: { ...poolWindow, count_include_pad: int(0), dilations: since(19, ints()) },
  role: 'computes',
  homogeneous: true,
  shape: poolShape,
  /** The sum in float64, in order of rows and columns, divided and rounded once. */
  evaluate(call) {
    const countsPadding = this.number(call.node, 'count_include_pad') !== 0;
    return evaluatePool(call, (taps, padded) => sumOf(taps) / (taps.length + (countsPadding ? padded : 0)));
  },
});
