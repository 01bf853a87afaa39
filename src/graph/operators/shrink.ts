import { unaryOperator } from './elementwise.ts';
import { float } from './signature.ts';

export const shrink = unaryOperator({
  op: 'Shrink',
  since: 9,
  attributes: { bias: float(0), lambd: float(0.5) },
  unary(node) {
    const bias = this.number(node, 'bias');
    const threshold = this.number(node, 'lambd');
    return (x) => (x < -threshold ? x + bias : x > threshold ? x - bias : 0);
  },
});
