import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { type RescaleConstants, rescaleWgsl } from './rescale.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';

export interface Binary {
  readonly function: 'sum' | 'product' | 'maximum' | 'minimum' | 'entry';
  readonly batch: number;
  readonly image: readonly [height: number, width: number, channels: number];
  /** Of the second operand: along each axis the first's size, or 1. */
  readonly otherImage: readonly [height: number, width: number, channels: number];
  readonly rescale: RescaleConstants;
  /** What padded lanes hold. */
  readonly fill: number;
}

/**
 * Sum of two tensors, each times a fixed-point multiplier at a common exponent, or their product times one; exact, rounded once. Or the
 * larger or smaller of two that are quantized alike; or any function, as a table. The second may have one row, column or channel, which meets all of the first's (squeeze
 * and excitation; a spatial gate).
 *
 *   a, y  [images][HEIGHT][WIDTH][PIXEL_WORDS] u32 of four int8
 *   b     the same, or 1 in place of some sizes
 *   table [256][256] int8, in u32 words: what becomes of each pair (of a function by table alone)
 *
 * One invocation computes one word. Workgroup memory: none. That the exact value is below 2³¹ is proved at load.
 */
export const binaryWgsl = ({ function: of, batch, image, otherImage, rescale, fill }: Binary, grid: Grid) => {
  const { multipliers, inputZeroPoints, shift, zeroPoint, lo, hi } = rescale;
  const [height, width, channels] = image;
  const pixelWords = Math.ceil(channels / 4);
  const [otherHeight, otherWidth, otherChannels] = otherImage;
  const otherWords = Math.ceil(otherChannels / 4);
  const isSame = image.every((size, axis) => size === otherImage[axis]);
  const isPixel = otherHeight * otherWidth === 1 && otherChannels === channels;
  const words = batch * height * width * pixelWords;
  return wgsl`
#if ${!isSame}
const PIXEL_WORDS = ${pixelWords}u;
const IMAGE_WORDS = ${height * width * pixelWords}u;
#endif
@group(0) @binding(0) var<storage, read> a: array<u32, ${words}>;
@group(0) @binding(1) var<storage, read> b: array<u32, ${batch * otherHeight * otherWidth * otherWords}>;
@group(0) @binding(${of === 'entry' ? 3 : 2}) var<storage, read_write> y: array<u32, ${words}>;
${gridWgsl(grid)}
${rescaleWgsl}
${storeWgsl(channels, fill)}${of === 'entry' ? ENTRY_WGSL : ''}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
#if ${isSame}
  let other = index;
#elif ${isPixel}
  let other = index / IMAGE_WORDS * PIXEL_WORDS + index % PIXEL_WORDS;
#else
  let pixel = index / PIXEL_WORDS;
  let other = index / IMAGE_WORDS * ${otherHeight * otherWidth * otherWords}u
    + pixel / ${width}u % ${height}u * ${otherHeight > 1 ? otherWidth * otherWords : 0}u
    + pixel % ${width}u * ${otherWidth > 1 ? otherWords : 0}u
    + index % PIXEL_WORDS * ${otherChannels === channels ? 1 : 0}u;
#endif
  let first = unpack4xI8(a[index]) - ${inputZeroPoints[0]};
#if ${otherChannels === channels}
  let second = unpack4xI8(b[other]) - ${inputZeroPoints[1]};
#else
  let second = unpack4xI8(b[other]).xxxx - ${inputZeroPoints[1]};
#endif
#if ${of === 'sum'}
  let exact = first * ${multipliers[0]} + second * (${multipliers[1] ?? 0});
#elif ${of === 'product'}
  let exact = first * second * ${multipliers[0]};
#elif ${of === 'maximum'}
  let exact = max(first, second);
#elif ${of === 'minimum'}
  let exact = min(first, second);
#else
  let exact = vec4<i32>(
    entry(first.x, second.x),
    entry(first.y, second.y),
    entry(first.z, second.z),
    entry(first.w, second.w),
  );
#endif
  store(index, rescaleSum(exact, ${shift}u, ${zeroPoint}, ${lo}, ${hi}));
}
`;
};

const ENTRY_WGSL = wgsl`
@group(0) @binding(2) var<storage, read> table: array<u32, 16384>;

fn entry(a: i32, b: i32) -> i32 {
  let at = u32(256 * (a + 128) + b + 128);
  return extractBits(bitcast<i32>(table[at / 4u]), at % 4u * 8u, 8u);
}
`;
