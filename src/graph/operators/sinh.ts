import { sinh as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const sinh = unaryOperator({ op: 'Sinh', unary: () => of });
