import { erf, tanh } from '../../numerics/elementary.ts';
import { unaryOperator } from './elementwise.ts';
import { string } from './signature.ts';

export const gelu = unaryOperator({
  op: 'Gelu',
  since: 20,
  attributes: { approximate: string('none') },
  unary: (node) =>
    node.attributes.approximate === 'tanh'
      ? (x) => 0.5 * x * (1 + tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
      : (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
});
