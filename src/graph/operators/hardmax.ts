import { alongAxisOperator } from './along-axis.ts';

/** 1 at the first of the largest elements, 0 elsewhere. */
export const hardmax = alongAxisOperator('Hardmax', (elements) => {
  const largest = elements.reduce((a, b) => Math.max(a, b), -Infinity);
  const first = elements.indexOf(largest);
  return elements.map((_, i) => Number(i === first));
});
