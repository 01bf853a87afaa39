import { acos as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const acos = unaryOperator({ op: 'Acos', unary: () => of });
