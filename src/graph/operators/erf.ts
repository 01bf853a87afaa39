import { erf as of } from '../../numerics/elementary.ts';
import { unaryOperator } from './elementwise.ts';

export const erf = unaryOperator({ op: 'Erf', unary: () => of });
