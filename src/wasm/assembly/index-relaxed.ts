/** The kernels for engines with relaxed SIMD: all of index.ts, and those that need it. */
export * from './index';
export { convolveRelaxed, peakRelaxedDot, probeRelaxedDot } from './relaxed';
