import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { type RescaleConstants, rescaleWgsl } from './rescale.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';

export interface Add {
  /** Words of the whole batch. */
  readonly words: number;
  readonly channels: number;
  readonly rescale: RescaleConstants;
}

/**
 * Sum of two tensors with scales of their own: each times its fixed-point multiplier at a common exponent, summed exactly,
 * rounded once.
 *
 *   a, b, y  [pixels][words of a pixel] u32 of four int8
 *
 * One invocation adds one word. Workgroup memory: none. |sum| < 2³¹ is proved at load.
 */
export const addWgsl = ({ words, channels, rescale }: Add, grid: Grid) => {
  const { multipliers, inputZeroPoints, shift, zeroPoint, lo, hi } = rescale;
  return wgsl`
@group(0) @binding(0) var<storage, read> a: array<u32, ${words}>;
@group(0) @binding(1) var<storage, read> b: array<u32, ${words}>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, ${words}>;
${gridWgsl(grid)}
${rescaleWgsl}
${storeWgsl(channels, zeroPoint)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let first = (unpack4xI8(a[index]) - ${inputZeroPoints[0]}) * ${multipliers[0]};
  let second = (unpack4xI8(b[index]) - ${inputZeroPoints[1]}) * ${multipliers[1]};
  let sum = rescaleSum(first + second, ${shift}u, ${zeroPoint}, ${lo}, ${hi});
  store(index, sum);
}
`;
};
