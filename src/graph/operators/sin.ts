import { sin as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const sin = unaryOperator({ op: 'Sin', unary: () => of });
