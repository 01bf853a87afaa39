import { unaryOperator } from './elementwise.ts';
import { float } from './signature.ts';

export const hardSigmoid = unaryOperator({
  op: 'HardSigmoid',
  attributes: { alpha: float(0.2), beta: float(0.5) },
  unary(node) {
    const alpha = this.number(node, 'alpha');
    const beta = this.number(node, 'beta');
    return (x) => Math.min(1, Math.max(0, alpha * x + beta));
  },
});
