import { cos as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const cos = unaryOperator({ op: 'Cos', unary: () => of });
