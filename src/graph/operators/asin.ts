import { asin as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const asin = unaryOperator({ op: 'Asin', unary: () => of });
