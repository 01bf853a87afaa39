import { unaryOperator } from './elementwise.ts';
import { softplusOf } from '../activations.ts';
export const softplus = unaryOperator({ op: 'Softplus', unary: () => softplusOf });
