import { eluOf } from '../activations.ts';
import { unaryOperator } from './elementwise.ts';
import { float } from './signature.ts';

export const elu = unaryOperator({
  op: 'Elu',
  attributes: { alpha: float(1) },
  unary(node) {
    const alpha = this.number(node, 'alpha');
    return (x) => eluOf(x, alpha);
  },
});
