import { acosh as of } from '../../numerics/trigonometry.ts';
import { unaryOperator } from './elementwise.ts';

export const acosh = unaryOperator({ op: 'Acosh', unary: () => of });
