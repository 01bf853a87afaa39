/** Which of a convolution's kernels to take where nothing has been measured on the machine at hand. */
import type { WasmVariant } from '../wasm-kernel.ts';

export interface CostedVariant {
  readonly variant: WasmVariant;
  readonly cost: number;
}

export interface Work {
  /** Multiply-adds, rows of the GEMM rounded up to whole tiles. */
  readonly products: number;
  /** Packed weights: they are read once a run, and at small images little else happens to them. */
  readonly weightBytes: number;
  /** Elements that go through a transform, in and out. */
  readonly transformed: number;
}

/**
 * Time in units of one multiply-add of the direct kernel. The factors are fitted to VGG16's shapes on one core of a Zen 3 (V8 11): of its 3×3
 * layers, F(4×4) is fastest down to 8×8 pixels, F(2×2) at 4×4, the direct kernel at 2×2.
 */
export function estimateCost({ products, weightBytes, transformed }: Work): number {
  return products + 1.5 * weightBytes + 20 * transformed;
}
