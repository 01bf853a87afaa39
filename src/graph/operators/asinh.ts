import { asinh as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const asinh = unaryOperator({ op: 'Asinh', unary: () => of });
