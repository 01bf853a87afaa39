/**
 * Octet's WebAssembly kernels, one file a family. All are free functions over addresses: nothing here allocates, no
 * kernel keeps state, and all memory is the host's (src/wasm/memory.ts). What they share:
 *
 * - activations lie as program.ts says: NHWC, channels padded to a multiple of 4;
 * - a call does the units of work [unitStart, unitEnd), and may run at the same time as other calls on other units;
 * - parameters that do not change from run to run come in a block of int32 words: an `@unmanaged` class of parameters.ts, which is made from the
 *   lists by which the host fills it (src/ops/wasm-parameters.ts).
 */
export { convolve4, convolve8, convolve16 } from './conv2d';
export { depthwise16 } from './depthwise';
export { entry, lookup, lookupChannels, maximum, minimum, product, sum } from './elementwise';
export { matMul } from './matMul';
export { move, repeat } from './move';
export { findRoots, normalizeImages, normalizePixels, sumChannels } from './normalize';
export { packPanels, packWinograd } from './pack';
export { pad8, pad16 } from './pad';
export { peakDot } from './peak';
export { averagePool, maxPool } from './pool';
export { reduce } from './reduce';
export { resize } from './resize';
export { argMax, logSoftmax, softmax } from './softmax';
export {
  winograd2Input,
  winograd2Output,
  winograd4Input,
  winograd4Output,
  winogradMultiply,
} from './winograd';
