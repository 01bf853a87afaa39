import { atan as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const atan = unaryOperator({ op: 'Atan', unary: () => of });
