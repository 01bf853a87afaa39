import { int } from './signature.ts';
import { testOperator } from './truth.ts';

export const isInf = testOperator({
  op: 'IsInf',
  since: 10,
  attributes: { detect_negative: int(1), detect_positive: int(1) },
  test: (row, node) => {
    const positive = row.number(node, 'detect_positive') !== 0;
    const negative = row.number(node, 'detect_negative') !== 0;
    return (x) => (positive && x === Infinity) || (negative && x === -Infinity);
  },
});
