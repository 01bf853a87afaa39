import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';

export interface ArgMaxShape {
  /** Of the whole batch. */
  readonly pixels: number;
  readonly channels: number;
  readonly of: 'max' | 'min';
  /** Of equals the last one, else the first. */
  readonly isLast: boolean;
}

/**
 * The channel with the largest (or least) value of each pixel.
 *
 *   x  [PIXELS][WORDS] u32 of four int8
 *   y  [PIXELS] i32
 *
 * An invocation takes a pixel, and its values in order: a later one replaces the best where it is better, or as good where the last of equals
 * is wanted. Least values are the largest of the complements, −1 − x, which int8 holds.
 */
export const argMaxWgsl = (shape: ArgMaxShape, grid: Grid) => wgsl`
const PIXELS = ${shape.pixels}u;
const CHANNELS = ${shape.channels}u;
const WORDS = ${Math.ceil(shape.channels / 4)}u;
@group(0) @binding(0) var<storage, read> x: array<u32, PIXELS * WORDS>;
@group(0) @binding(1) var<storage, read_write> y: array<i32, PIXELS>;
${gridWgsl(grid)}
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let pixel = invocationIndex(workgroup, local);
  if (pixel >= INVOCATIONS) {
    return;
  }
  // Below every value.
  var best = -129;
  var index = 0u;
  for (var word = 0u; word < WORDS; word++) {
    let values = unpack4xI8(x[pixel * WORDS + word]${shape.of === 'min' ? ' ^ 0xffffffffu' : ''});
    for (var lane = 0u; lane < 4u; lane++) {
      let c = word * 4u + lane;
      if (c < CHANNELS && values[lane] ${shape.isLast ? '>=' : '>'} best) {
        best = values[lane];
        index = c;
      }
    }
  }
  y[pixel] = i32(index);
}
`;
