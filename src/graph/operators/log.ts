import { log as of } from '../../numerics/elementary.ts';
import { unaryOperator } from './elementwise.ts';

export const log = unaryOperator({ op: 'Log', unary: () => of });
