import { exp as of } from '../../numerics/elementary.ts';
import { unaryOperator } from './elementwise.ts';

export const exp = unaryOperator({ op: 'Exp', unary: () => of });
