import { cosh as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const cosh = unaryOperator({ op: 'Cosh', unary: () => of });
