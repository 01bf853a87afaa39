import { tanh } from '../../numerics/elementary.ts';
import { softplusOf } from '../activations.ts';
import { unaryOperator } from './elementwise.ts';

export const mish = unaryOperator({ op: 'Mish', since: 18, unary: () => (x) => x * tanh(softplusOf(x)) });
