import { unaryOperator } from './elementwise.ts';
import { float } from './signature.ts';

export const thresholdedRelu = unaryOperator({
  op: 'ThresholdedRelu',
  since: 10,
  attributes: { alpha: float(1) },
  unary(node) {
    const alpha = this.number(node, 'alpha');
    return (x) => (x > alpha ? x : 0);
  },
});
