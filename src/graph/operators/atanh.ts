import { atanh as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const atanh = unaryOperator({ op: 'Atanh', unary: () => of });
