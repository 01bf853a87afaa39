import { tanh as of } from '../../numerics/elementary.ts';
import { unaryOperator } from './elementwise.ts';

export const tanh = unaryOperator({ op: 'Tanh', unary: () => of });
