import { testOperator } from './truth.ts';

export const not = testOperator({ op: 'Not', test: () => (x) => x === 0 });
