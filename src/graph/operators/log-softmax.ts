import { exp, log } from '../../numerics/elementary.ts';
import { alongAxisOperator } from './along-axis.ts';

/** In float64: `x − largest − ln Σ e^(x − largest)`, rounded once. */
export const logSoftmax = alongAxisOperator('LogSoftmax', (elements) => {
  const largest = elements.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = elements.reduce((total, x) => total + exp(x - largest), 0);
  const logarithm = log(sum);
  return Float64Array.from(elements, (x) => x - largest - logarithm);
});
