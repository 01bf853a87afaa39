import { eluOf } from '../activations.ts';
import { unaryOperator } from './elementwise.ts';
import { float } from './signature.ts';

export const selu = unaryOperator({
  op: 'Selu',
  attributes: { alpha: float(1.6732631921768188), gamma: float(1.0507010221481323) },
  unary(node) {
    const alpha = this.number(node, 'alpha');
    const gamma = this.number(node, 'gamma');
    return (x) => gamma * eluOf(x, alpha);
  },
});
