import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { requantizeWgsl } from './requantize.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';

export interface ResizeShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
  /** Words of a pixel, and its channels. */
  readonly words: number;
  readonly channels: number;
  readonly rowTaps: number;
  readonly columnTaps: number;
  readonly inputZeroPoint: number;
  /** Of the output: what padded lanes hold. */
  readonly zeroPoint: number;
  /** Arguments of `requantizerOf`. */
  readonly requantizer: string;
}

/**
 * Each output pixel from a few input pixels (two by two linearly, four by four cubically) with fixed-point weights; exact, requantized once.
 *
 *   x     [batch][HEIGHT][WIDTH][WORDS] u32 of four int8
 *   taps  i32: [OUT_HEIGHT][ROW_TAPS] rows, as many weights, [OUT_WIDTH][COLUMN_TAPS] columns, as many weights
 *   y     [batch][OUT_HEIGHT][OUT_WIDTH][WORDS]
 *
 * One invocation computes one word. Workgroup memory: none. Weights are chosen at load so that |Σ| < 2³¹.
 */
export const resizeWgsl = (shape: ResizeShape, grid: Grid) => wgsl`
const HEIGHT = ${shape.height}u;
const WIDTH = ${shape.width}u;
const OUT_HEIGHT = ${shape.outHeight}u;
const OUT_WIDTH = ${shape.outWidth}u;
const WORDS = ${shape.words}u;
const ROW_TAPS = ${shape.rowTaps}u;
const COLUMN_TAPS = ${shape.columnTaps}u;
const ROW_ENTRIES = OUT_HEIGHT * ROW_TAPS;
const COLUMN_ENTRIES = OUT_WIDTH * COLUMN_TAPS;
@group(0) @binding(0) var<storage, read> x: array<u32, ${shape.batch * shape.height * shape.width * shape.words}>;
@group(0) @binding(1) var<storage, read> taps: array<i32, 2u * (ROW_ENTRIES + COLUMN_ENTRIES)>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, ${shape.batch * shape.outHeight * shape.outWidth * shape.words}>;
${gridWgsl(grid)}
${requantizeWgsl('native')}
${storeWgsl(shape.channels, shape.zeroPoint)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let word = index % WORDS;
  let pixel = index / WORDS;
  let column = pixel % OUT_WIDTH * COLUMN_TAPS;
  let row = pixel / OUT_WIDTH % OUT_HEIGHT * ROW_TAPS;
  let image = pixel / (OUT_WIDTH * OUT_HEIGHT) * HEIGHT;
  var sum = vec4<i32>();
  for (var r = 0u; r < ROW_TAPS; r++) {
    let line = (image + u32(taps[row + r])) * WIDTH;
    var inner = vec4<i32>();
    for (var c = 0u; c < COLUMN_TAPS; c++) {
      let at = 2u * ROW_ENTRIES + column + c;
      let value = unpack4xI8(x[(line + u32(taps[at])) * WORDS + word]) - ${shape.inputZeroPoint};
      inner += value * taps[at + COLUMN_ENTRIES];
    }
    sum += inner * taps[row + r + ROW_ENTRIES];
  }
  store(index, requantize(sum, requantizerOf(${shape.requantizer})));
}
`;
