import { unaryOperator } from './elementwise.ts';
import { float } from './signature.ts';

export const leakyRelu = unaryOperator({
  op: 'LeakyRelu',
  attributes: { alpha: float(0.01) },
  unary(node) {
    const alpha = this.number(node, 'alpha');
    return (x) => (x < 0 ? alpha * x : x);
  },
});
