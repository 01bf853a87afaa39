import { unaryOperator } from './elementwise.ts';
import { logistic } from '../activations.ts';
export const sigmoid = unaryOperator({ op: 'Sigmoid', unary: () => logistic });
