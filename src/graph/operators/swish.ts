import { logistic } from '../activations.ts';
import { unaryOperator } from './elementwise.ts';
import { float } from './signature.ts';

export const swish = unaryOperator({
  op: 'Swish',
  since: 24,
  attributes: { alpha: float(1) },
  unary(node) {
    const alpha = this.number(node, 'alpha');
    return (x) => x * logistic(alpha * x);
  },
});
