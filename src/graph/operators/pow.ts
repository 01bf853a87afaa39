import { pow as of } from '../../numerics/elementary.ts';
import { binaryOperator } from './elementwise.ts';

export const pow = binaryOperator({ op: 'Pow', binary: of });
