import { testOperator } from './truth.ts';

export const isNaN = testOperator({ op: 'IsNaN', test: () => (x) => Number.isNaN(x) });
