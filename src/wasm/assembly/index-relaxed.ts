/** The kernels for engines with relaxed SIMD: all of index.ts, and those that need it. */
export * from './index';
export { convolveRelaxed, depthwiseRelaxed, peakRelaxedDot, probeRelaxedDot } from './relaxed';
