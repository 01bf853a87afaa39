/** Functions that several activations are made of, in float64. */
import { exp, expm1, log1p } from '../numerics/elementary.ts';

export const logistic = (x: number): number => 1 / (1 + exp(-x));

/** ln(1 + eˣ) without overflow. */
export const softplusOf = (x: number): number => Math.max(x, 0) + log1p(exp(-Math.abs(x)));

export const eluOf = (x: number, alpha: number): number => (x < 0 ? alpha * expm1(x) : x);
