import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { conv2dEpilogueWgsl, paddingWgsl } from './conv2d-epilogue.wgsl.ts';
import { conv2dLayerWgsl } from './conv2d-layer.wgsl.ts';
import type { Conv2dShape } from './conv2d-shape.wgsl.ts';
import type { MatrixWeightsWgsl } from './conv2d-weights.ts';
import { inputColumn, inputRow, tapOffsets } from './conv2d-window.wgsl.ts';
import { unroll } from './unroll.ts';

export interface Conv2dDepthwisePatchTile {
  /** Output pixels of an invocation, a patch of the image. */
  readonly patch: readonly [height: number, width: number];
  readonly workgroupSize: number;
}

/** What the kernel's text depends on; the rest is data of the layer. */
export type Conv2dDepthwisePatchShape = Pick<
  Conv2dShape,
  'kernel' | 'stride' | 'dilation' | 'residual' | 'int32' | 'outChannels'
>;

/** Input rows and columns that a patch needs, as offsets from its first. */
export function patchOffsets(
  { kernel, stride, dilation }: Pick<Conv2dShape, 'kernel' | 'stride' | 'dilation'>,
  patch: Conv2dDepthwisePatchTile['patch'],
) {
  return {
    rows: tapOffsets(patch[0], kernel[0], stride[0], dilation[0]),
    columns: tapOffsets(patch[1], kernel[1], stride[1], dilation[1]),
  };
}

/**
 * Depthwise convolution in exact f32 for software adapters, where a load costs as much as twenty multiply-adds.
 *
 *   x         [BATCH][HEIGHT][WIDTH][IN_WORDS] u32 of four int8
 *   weights   [KERNEL_H · KERNEL_W][OUT_WORDS] u32 of four int8
 *   layer     conv2d-layer.wgsl.ts
 *   epilogue, y, residual: conv2d-epilogue.wgsl.ts
 *
 * One invocation computes a patch of pixels of one word of channels: it loads every input of the patch and every tap once, then adds up in one
 * expression for each pixel, all of it unrolled (conv2d-quad.wgsl.ts says why). Neighbouring invocations take neighbouring words.
 *
 * Registers: the patch's inputs, the taps, and an accumulator a pixel. Workgroup memory: none.
 * Precondition: KERNEL_H · KERNEL_W ≤ 1024, so that every sum of products, of at most 2¹⁴ each, is an integer that f32 holds.
 */
export const conv2dDepthwisePatchWgsl = (
  shape: Conv2dDepthwisePatchShape,
  { patch, workgroupSize }: Conv2dDepthwisePatchTile,
  weights: MatrixWeightsWgsl,
) => {
  const { kernel, stride, dilation } = shape;
  const { rows, columns } = patchOffsets(shape, patch);
  const taps = kernel[0] * kernel[1];
  const sumOf = (row: number, column: number) =>
    Array.from({ length: taps }, (_, tap) => {
      const r = rows.indexOf(row * stride[0] + Math.floor(tap / kernel[1]) * dilation[0]);
      const c = columns.indexOf(column * stride[1] + (tap % kernel[1]) * dilation[1]);
      return `x${r}_${c} * w${tap}`;
    }).join(' + ');
  return wgsl`
// f32, ${patch[0]}×${patch[1]} pixels × 4 channels an invocation.
const WORKGROUP_SIZE = ${workgroupSize}u;
const PATCH_H = ${patch[0]}u;
const PATCH_W = ${patch[1]}u;
const STRIDE_H = ${stride[0]};
const STRIDE_W = ${stride[1]};
@group(0) @binding(0) var<storage, read> x: array<u32>;
${weights.declaration}
${conv2dEpilogueWgsl({ ...shape, weightZeroPoint: false }, 'layer')}
${conv2dLayerWgsl(shape.residual ? 5 : 4)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= layer.invocations) {
    return;
  }
  let height = layer.height;
  let width = layer.width;
  let outWords = layer.outWords;
  let rowWords = width * layer.inWords;
  let word = index % outWords;
  let at = index / outWords;
  let image = at / (layer.patchRows * layer.patchColumns);
  let firstRow = at / layer.patchColumns % layer.patchRows * PATCH_H;
  let firstColumn = at % layer.patchColumns * PATCH_W;
  let padding = ${paddingWgsl('outWords * RECORD')};
  let top = i32(firstRow) * STRIDE_H - i32(layer.padTop);
  let left = i32(firstColumn) * STRIDE_W - i32(layer.padLeft);
${unroll(rows.length, (r) => inputRow(r, `top + ${rows[r]}`, 'word'))}
${unroll(columns.length, (c) => inputColumn(c, columns[c]))}
${unroll(rows.length, (r) => unroll(columns.length, (c) => `  let packed${r}_${c} = x[rowStart${r} + columnStart${c}];`))}
${unroll(taps, (tap) => `  let packedW${tap} = ${weights.load(`${tap}u`, 'word')};`)}
${unroll(rows.length, (r) =>
  unroll(
    columns.length,
    (c) =>
      `  let x${r}_${c} = unpackScaled(select(padding, packed${r}_${c}, rowInside${r} & columnInside${c}));`,
  ),
)}
${unroll(taps, (tap) => `  let w${tap} = unpackScaled(packedW${tap});`)}

  var results = array<vec4<i32>, PATCH_H * PATCH_W>(
${unroll(patch[0], (row) => unroll(patch[1], (column) => `    largeIntegersOf((${sumOf(row, column)}) * 0x1p-48),`))}
  );
  let channels = channelsOf(word);
  for (var r = 0u; r < PATCH_H; r++) {
    for (var c = 0u; c < PATCH_W; c++) {
      let row = firstRow + r;
      let column = firstColumn + c;
      if ((row < layer.outHeight) & (column < layer.outWidth)) {
        store((image * layer.outHeight + row) * layer.outWidth + column, channels, results[r * PATCH_W + c]);
      }
    }
  }
}
`;
};
