import { tan as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const tan = unaryOperator({ op: 'Tan', unary: () => of });
