import { roundToEven } from '../half.ts';
import { unaryOperator } from './elementwise.ts';

/** To nearest, ties to even. */
export const round = unaryOperator({ op: 'Round', since: 11, unary: () => roundToEven });
