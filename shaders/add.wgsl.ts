import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { type RescaleConstants, rescaleWgsl } from './rescale.wgsl.ts';

export interface Add {
  /** Words of the whole batch. */
  readonly words: number;
  readonly pixelWords: number;
  readonly channels: number;
  readonly rescale: RescaleConstants;
}

/**
 * Sum of two tensors with scales of their own: each times its fixed-point multiplier at a common exponent, summed exactly,
 * rounded once.
 *
 *   a, b, y  [pixels][PIXEL_WORDS] u32 of four int8
 *
 * One invocation adds one word. Workgroup memory: none. |sum| < 2³¹ is proved at load.
 */
export const addWgsl = ({ words, pixelWords, channels, rescale }: Add, grid: Grid) => {
  const { multipliers, inputZeroPoints, shift, zeroPoint, lo, hi } = rescale;
  return wgsl`
const PIXEL_WORDS = ${pixelWords}u;
const CHANNELS = ${channels}u;
@group(0) @binding(0) var<storage, read> a: array<u32, ${words}>;
@group(0) @binding(1) var<storage, read> b: array<u32, ${words}>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, ${words}>;
${gridWgsl(grid)}
${rescaleWgsl}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let first = (unpack4xI8(a[index]) - ${inputZeroPoints[0]}) * ${multipliers[0]};
  let second = (unpack4xI8(b[index]) - ${inputZeroPoints[1]}) * ${multipliers[1]};
  let sum = rescaleSum(first + second, ${shift}u, ${zeroPoint}, ${lo}, ${hi});
#if ${channels % 4 === 0}
  y[index] = pack4xI8(sum);
#else
  let lanes = vec4<u32>(index % PIXEL_WORDS * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(${zeroPoint}), sum, lanes < vec4<u32>(CHANNELS)));
#endif
}
`;
};
