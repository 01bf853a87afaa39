import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import type { Conv2dShape } from './conv2d-shape.wgsl.ts';

/**
 * How convolution kernels read their input: binding 0,
 *   x  [BATCH][HEIGHT][WIDTH][IN_WORDS] u32 of four int8 channels,
 * seen through the window of an output pixel. A pixel in the padding reads as the zero point in every channel.
 */
export const conv2dWindowWgsl = (shape: Conv2dShape) => wgsl`
@group(0) @binding(0) var<storage, read> x: array<u32, BATCH * HEIGHT * WIDTH * IN_WORDS>;

// Batch, row and column where the window of an output pixel starts (of its first window, if pooled); may lie in the padding.
fn windowStart(pixel: u32) -> vec3<i32> {
  let n = i32(pixel / (OUT_HEIGHT * OUT_WIDTH));
  let row = i32(pixel / OUT_WIDTH % OUT_HEIGHT);
  let column = i32(pixel % OUT_WIDTH);
#if ${shape.pool}
  return vec3<i32>(n, 2 * row * STRIDE_H - PAD_TOP, 2 * column * STRIDE_W - PAD_LEFT);
#else
  return vec3<i32>(n, row * STRIDE_H - PAD_TOP, column * STRIDE_W - PAD_LEFT);
#endif
}

// First word of the input pixel at an offset from a window's start, or -1 where it lies in the padding.
fn inputStart(start: vec3<i32>, row: i32, column: i32) -> i32 {
  let at = start.yz + vec2<i32>(row, column);
  let inside = all(at >= vec2<i32>(0)) && all(at < vec2<i32>(i32(HEIGHT), i32(WIDTH)));
  return select(-1, ((start.x * i32(HEIGHT) + at.x) * i32(WIDTH) + at.y) * i32(IN_WORDS), inside);
}

fn inputWord(start: i32, word: u32, padding: u32) -> u32 {
  return select(padding, x[u32(max(start, 0)) + word], start >= 0);
}
`;

/** Arguments of `inputStart` for one of the 2×2 windows that are pooled, or for the only one. */
export function windowOffset(shape: Conv2dShape, index: number): string {
  if (!shape.pool) return 'row, column';
  return `row + ${index >> 1} * STRIDE_H, column + ${index & 1} * STRIDE_W`;
}

/** The largest of an output's accumulators: four where a pool is fused, else one. */
export function poolOf(accs: readonly string[]): string {
  const [a, b, c, d] = accs;
  return accs.length === 1 ? a : `max(max(${a}, ${b}), max(${c}, ${d}))`;
}

/** Inputs along one axis that some tap of some of `pixels` neighbouring outputs needs, as offsets from the first. */
export function tapOffsets(
  pixels: number,
  kernel: number,
  stride: number,
  dilation: number,
): readonly number[] {
  const offsets = new Set<number>();
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let tap = 0; tap < kernel; tap++) offsets.add(pixel * stride + tap * dilation);
  }
  return [...offsets].sort((a, b) => a - b);
}

/** Input row r of a patch, at `row` of the image: whether it is inside, and the word at which it starts, `channel` words into its pixels. */
export const inputRow = (r: number, row: string, channel: string) => `      let row${r} = ${row};
      let rowInside${r} = (row${r} >= 0) & (row${r} < i32(height));
      let rowStart${r} = (image * height + u32(clamp(row${r}, 0, i32(height) - 1))) * rowWords + ${channel};`;

/** Input column c of a patch, `offset` after its first: whether it is inside, and its word in a row. */
export const inputColumn = (c: number, offset: number) => `  let column${c} = left + ${offset};
  let columnInside${c} = (column${c} >= 0) & (column${c} < i32(width));
  let columnStart${c} = u32(clamp(column${c}, 0, i32(width) - 1)) * layer.inWords;`;
