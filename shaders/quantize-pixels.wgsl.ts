import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { unroll } from './unroll.ts';

export interface QuantizePixels {
  /** Pixels of all images of the batch. */
  readonly pixels: number;
  /** 1…4 for pictures; any number works. */
  readonly channels: number;
  /** What padded lanes hold. */
  readonly zeroPoint: number;
}

/**
 * uint8 pixels into the int8 input tensor: normalization and quantization are a table of 256 entries a channel, computed by the host,
 * so the kernel only looks up.
 *
 *   pixels  [PIXELS][CHANNELS] bytes without padding, in u32 words (the last one filled up)
 *   table   [CHANNELS][256] int8, in u32 words
 *   y       [PIXELS][WORDS] u32 of four int8
 *
 * One invocation writes one word: four channels of a pixel. Workgroup memory: none.
 */
export const quantizePixelsWgsl = ({ pixels, channels, zeroPoint }: QuantizePixels, grid: Grid) => wgsl`
const CHANNELS = ${channels}u;
const WORDS = ${Math.ceil(channels / 4)}u;
const ZERO_POINT = ${zeroPoint};
@group(0) @binding(0) var<storage, read> pixels: array<u32, ${Math.ceil((pixels * channels) / 4)}>;
@group(0) @binding(1) var<storage, read> table: array<u32, CHANNELS * 64u>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, ${pixels}u * WORDS>;
${gridWgsl(grid)}

// The quantized value of one channel of a pixel, or the zero point in a padded lane.
fn quantized(pixel: u32, channel: u32) -> i32 {
  if (channel >= CHANNELS) {
    return ZERO_POINT;
  }
  let at = pixel * CHANNELS + channel;
  let value = extractBits(pixels[at / 4u], at % 4u * 8u, 8u);
  let entry = channel * 256u + value;
  return extractBits(bitcast<i32>(table[entry / 4u]), entry % 4u * 8u, 8u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let pixel = index / WORDS;
  let channel = index % WORDS * 4u;
  y[index] = pack4xI8(vec4<i32>(
${unroll(4, (lane) => `    quantized(pixel, channel + ${lane}u)${lane < 3 ? ',' : ''}`)}
  ));
}
`;
