import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { storeWgsl } from './store.wgsl.ts';

/** What both pooling kernels are told of the layer. */
export interface Pool2dShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
  /** Words of a pixel, and its channels: what is beyond them is padding. */
  readonly words: number;
  readonly channels: number;
  readonly kernel: readonly [height: number, width: number];
  readonly stride: readonly [height: number, width: number];
  readonly pad: readonly [top: number, left: number];
  readonly dilation: readonly [height: number, width: number];
  /** Of the output: what padded lanes hold. */
  readonly zeroPoint: number;
}

/** Bindings and geometry of a pooling window. One invocation pools one word of channels of one output pixel. */
export const pool2dWgsl = (shape: Pool2dShape) => wgsl`
const HEIGHT = ${shape.height};
const WIDTH = ${shape.width};
const OUT_HEIGHT = ${shape.outHeight}u;
const OUT_WIDTH = ${shape.outWidth}u;
const WORDS = ${shape.words}u;
@group(0) @binding(0) var<storage, read> x: array<u32, ${shape.batch * shape.height * shape.width}u * WORDS>;
@group(0) @binding(1) var<storage, read_write> y: array<u32, ${shape.batch}u * OUT_HEIGHT * OUT_WIDTH * WORDS>;

// Batch, row and column of the first tap of the window behind an output word; may lie in the padding.
fn windowStart(index: u32) -> vec3<i32> {
  let pixel = index / WORDS;
  return vec3<i32>(
    i32(pixel / (OUT_HEIGHT * OUT_WIDTH)),
    i32(pixel / OUT_WIDTH % OUT_HEIGHT) * ${shape.stride[0]} - ${shape.pad[0]},
    i32(pixel % OUT_WIDTH) * ${shape.stride[1]} - ${shape.pad[1]},
  );
}

fn isInside(row: i32, column: i32) -> bool {
  return row >= 0 && row < HEIGHT && column >= 0 && column < WIDTH;
}

fn inputWord(n: i32, row: i32, column: i32, word: u32) -> vec4<i32> {
  let pixel = (n * HEIGHT + clamp(row, 0, HEIGHT - 1)) * WIDTH + clamp(column, 0, WIDTH - 1);
  return unpack4xI8(x[u32(pixel) * WORDS + word]);
}
${storeWgsl(shape.channels, shape.zeroPoint)}`;
