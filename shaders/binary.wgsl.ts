import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { type RescaleConstants, rescaleWgsl } from './rescale.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';

export interface Binary {
  readonly function: 'sum' | 'product';
  /** Words of the whole batch. */
  readonly words: number;
  /** Of the second operand: as many, or those of a pixel an image. */
  readonly otherWords: number;
  readonly imagePixels: number;
  readonly pixelWords: number;
  readonly channels: number;
  readonly rescale: RescaleConstants;
}

/**
 * Sum of two tensors, each times a fixed-point multiplier at a common exponent, or their product times one; exact, rounded once. The second
 * may be one pixel an image, which meets all of the image's (squeeze and excitation).
 *
 *   a, y  [pixels][PIXEL_WORDS] u32 of four int8
 *   b     the same, or [images][PIXEL_WORDS]
 *
 * One invocation computes one word. Workgroup memory: none. That the exact value is below 2³¹ is proved at load.
 */
export const binaryWgsl = (
  { function: of, words, otherWords, imagePixels, pixelWords, channels, rescale }: Binary,
  grid: Grid,
) => {
  const { multipliers, inputZeroPoints, shift, zeroPoint, lo, hi } = rescale;
  return wgsl`
#if ${otherWords !== words}
const PIXEL_WORDS = ${pixelWords}u;
const IMAGE_WORDS = ${imagePixels * pixelWords}u;
#endif
@group(0) @binding(0) var<storage, read> a: array<u32, ${words}>;
@group(0) @binding(1) var<storage, read> b: array<u32, ${otherWords}>;
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
#if ${otherWords === words}
  let other = index;
#else
  let other = index / IMAGE_WORDS * PIXEL_WORDS + index % PIXEL_WORDS;
#endif
  let first = unpack4xI8(a[index]) - ${inputZeroPoints[0]};
  let second = unpack4xI8(b[other]) - ${inputZeroPoints[1]};
#if ${of === 'sum'}
  let exact = first * ${multipliers[0]} + second * (${multipliers[1] ?? 0});
#else
  let exact = first * second * ${multipliers[0]};
#endif
  store(index, rescaleSum(exact, ${shift}u, ${zeroPoint}, ${lo}, ${hi}));
}
`;
};
