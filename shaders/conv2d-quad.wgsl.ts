import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { conv2dEpilogueWgsl, paddingWgsl } from './conv2d-epilogue.wgsl.ts';
import { winogradStepsWgsl } from './conv2d-quad-winograd.wgsl.ts';
import { conv2dLayerWgsl } from './conv2d-layer.wgsl.ts';
import { type Conv2dShape, outputSize } from './conv2d-shape.wgsl.ts';
import type { BlockedWeightsWgsl } from './conv2d-weights.ts';
import { inputColumn, inputRow, tapOffsets } from './conv2d-window.wgsl.ts';
import { SWAPS, swapped } from './quad-swap.ts';
import { unroll } from './unroll.ts';

export interface Conv2dQuadTile {
  /**
   * Convolution pixels of a lane, a patch of the image. Layers with a fused pool take patches that are even both ways, or of one pixel, which
   * the quad then pools.
   */
  readonly patch: readonly [height: number, width: number];
  /** Output words (four channels) of a quad; divides the words of a group. */
  readonly words: number;
  /** Winograd's F(2×2, 3×3) (conv2d-quad-winograd.wgsl.ts) instead of the products as they are: two rows of even width, stride 1. */
  readonly winograd: boolean;
  readonly workgroupSize: number;
}

/** What the kernel's text depends on; the rest is data of the layer. */
export type Conv2dQuadShape = Pick<
  Conv2dShape,
  'kernel' | 'stride' | 'dilation' | 'residual' | 'int32' | 'outChannels'
>;

function isOnePixel([height, width]: Conv2dQuadTile['patch']): boolean {
  return height === 1 && width === 1;
}

/** Patches of an image: those of a quad follow one another, or make up the window that the quad pools. */
export function quadPatches(shape: Conv2dShape, patch: Conv2dQuadTile['patch']) {
  const pooledByQuad = shape.pool && isOnePixel(patch);
  const scale = shape.pool && !pooledByQuad ? 2 : 1;
  const [outHeight, outWidth] = outputSize(shape);
  return {
    rows: Math.ceil((outHeight * scale) / patch[0]),
    columns: Math.ceil((outWidth * scale) / patch[1]),
    /** Patches that a quad takes. */
    perQuad: pooledByQuad ? 1 : 4,
  };
}

/** The products as they are: a step is one row of the kernel and one word of input channels. */
function directStepsWgsl(
  shape: Conv2dQuadShape,
  { patch, words }: Conv2dQuadTile,
  weights: BlockedWeightsWgsl,
): string {
  const [patchHeight, patchWidth] = patch;
  const kernelWidth = shape.kernel[1];
  const offsets = tapOffsets(patchWidth, kernelWidth, shape.stride[1], shape.dilation[1]);
  // One lane's share of a word of channels for pixel p of the lane that `swap` leads to: the products of all taps of the row.
  const sumOf = (p: number, j: number, swap: string) =>
    Array.from({ length: kernelWidth }, (_, kx) => {
      const offset = (p % patchWidth) * shape.stride[1] + kx * shape.dilation[1];
      return `dot(x${Math.floor(p / patchWidth)}_${offsets.indexOf(offset)}${swap}, w${kx}_${j})`;
    }).join(' + ');
  return `
    var ky = first / groupInWords;
    var word = first % groupInWords;
    for (var step = first; step < end; step++) {
${unroll(
  patchHeight,
  (r) => `${inputRow(r, `top + ${r} * STRIDE_H + i32(ky) * DILATION_H`, 'groupStart + word')}
${unroll(offsets.length, (c) => `      let packed${r}_${c} = x[rowStart${r} + columnStart${c}];`)}`,
)}
      ${weights.begin('firstWeight', 'block * steps + step')}
${unroll(kernelWidth * words, (i) => `      let packedW${i} = ${weights.load('firstWeight', i)};`)}
${unroll(patchHeight, (r) =>
  unroll(
    offsets.length,
    (c) =>
      `      let x${r}_${c} = unpackScaled(select(padding, packed${r}_${c}, rowInside${r} & columnInside${c}));
${swapped(`x${r}_${c}`)}`,
  ),
)}
${unroll(
  words,
  (j) => `${unroll(kernelWidth, (kx) => `      let w${kx}_${j} = unpackScaled(packedW${kx * words + j});`)}
${unroll(patchHeight * patchWidth, (p) => `      acc${p}_${j} += vec4<f32>(${SWAPS.map((swap) => sumOf(p, j, swap)).join(', ')});`)}`,
)}
      word++;
      if (word == groupInWords) {
        word = 0u;
        ky++;
      }
    }`;
}

/**
 * Convolution in exact f32 for software adapters, where a load costs as much as twenty multiply-adds: what the four lanes of a
 * quad load is shared by all of them.
 *
 *   x         [BATCH][HEIGHT][WIDTH][IN_WORDS] u32 of four int8
 *   weights   [OUT_WORDS / WORDS][KERNEL_H][GROUP_IN_WORDS][KERNEL_W][WORDS][4] u32: a word of four input channels for each output channel,
 *             in the order in which a quad reads them
 *   layer     conv2d-layer.wgsl.ts; a step is one row of the kernel (all rows by Winograd) and one word of input channels
 *   epilogue, y, residual: conv2d-epilogue.wgsl.ts
 *
 * A quad computes four patches of pixels × 4·WORDS channels. Lane l loads the inputs of its own patch, and of each word of output
 * channels the weights of channel l. Swapping the inputs between lanes (one shuffle each) brings every patch to every channel's
 * weights: component r of an accumulator of lane l belongs to channel l and the patch of lane l ^ r, and is put in order at the end. A patch of
 * one pixel under a fused pool is one of the four pixels that are pooled: the quad takes their maximum.
 *
 * Within a patch, an input serves all the taps of a kernel row that meet it; the taps of a row are unrolled. Software adapters branch in a
 * load, and what is added to a variable between two branches costs a masked store: so a step loads all it needs first, and then adds up in
 * one expression for each accumulator. Conditions are joined by `&`, since `&&` is a branch too.
 *
 * Registers: 4 · WORDS · patch accumulators. Workgroup memory: none.
 * Preconditions: quads are four consecutive invocations of a workgroup; the layer's flushSteps keep every partial sum an
 * integer below 2²⁴ (times 2⁴⁸, as unpacked). |acc| < 2³¹ is proved at load.
 */
export const conv2dQuadWgsl = (shape: Conv2dQuadShape, tile: Conv2dQuadTile, weights: BlockedWeightsWgsl) => {
  const { patch, words } = tile;
  const [patchHeight, patchWidth] = patch;
  const pixels = patchHeight * patchWidth;
  const onePixel = isOnePixel(patch);
  const poolable = patch.every((length) => length % 2 === 0);

  const offsets = tapOffsets(patchWidth, shape.kernel[1], shape.stride[1], shape.dilation[1]);
  // The four results of a pool's window, which go where the pooled pixel's comes: always before those that are still to be pooled.
  const pooledOf = (p: number, j: number) => {
    const first = Math.floor(p / (patchWidth / 2)) * 2 * patchWidth + (p % (patchWidth / 2)) * 2;
    const [a, b, c, d] = [0, 1, patchWidth, patchWidth + 1].map(
      (offset) => `results[${(first + offset) * words + j}]`,
    );
    return `max(max(${a}, ${b}), max(${c}, ${d}))`;
  };
  return wgsl`
enable subgroups;

// f32, ${patchHeight}×${patchWidth} pixels a lane, ${4 * words} channels a quad.
const WORKGROUP_SIZE = ${tile.workgroupSize}u;
const WORDS = ${words}u;
const PATCH_H = ${patchHeight}u;
const PATCH_W = ${patchWidth}u;
const STRIDE_H = ${shape.stride[0]};
const STRIDE_W = ${shape.stride[1]};
const DILATION_H = ${shape.dilation[0]};
@group(0) @binding(0) var<storage, read> x: array<u32>;
${weights.declaration}
${conv2dEpilogueWgsl({ ...shape, weightZeroPoint: false }, 'layer')}
${conv2dLayerWgsl(shape.residual ? 5 : 4)}

// Component r of an accumulator is of the lane's own channel and of the pixel of lane ^ r. Turns that into the four channels of the lane's own pixel.
fn ownPixel(acc: vec4<i32>, lane: u32) -> vec4<i32> {
  let channels = vec4<i32>(acc.x, quadSwapX(acc.y), quadSwapY(acc.z), quadSwapDiagonal(acc.w));
  // Component r is now of channel lane ^ r.
  let pairs = select(channels, channels.yxwz, (lane & 1u) != 0u);
  return select(pairs, pairs.zwxy, (lane & 2u) != 0u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let height = layer.height;
  let width = layer.width;
  let patchRows = layer.patchRows;
  let patchColumns = layer.patchColumns;
  let patches = layer.batch * patchRows * patchColumns;
  // Quads beyond the last repeat it and store nothing: shuffles want every lane.
  let lane = local % 4u;
  let index = min(invocationIndex(workgroup, local), layer.invocations - 4u + lane);
  let pooled = layer.pool != 0u;
  // Neighbouring quads take neighbouring patches with the same weights: those stay in the cache.
#if ${onePixel}
  let perQuad = select(4u, 1u, pooled);
#else
  let perQuad = 4u;
#endif
  let patchGroups = (patches + perQuad - 1u) / perQuad;
  let block = index / 4u / patchGroups;
  let firstWord = block * WORDS;
#if ${onePixel}
  let patchIndex = index / 4u % patchGroups * perQuad + select(lane, 0u, pooled);
#else
  let patchIndex = index / 4u % patchGroups * perQuad + lane;
#endif
  let at = min(patchIndex, patches - 1u);
  let image = at / (patchRows * patchColumns);
  let patchRow = at / patchColumns % patchRows;
  let patchColumn = at % patchColumns;
#if ${onePixel}
  let firstRow = select(patchRow, patchRow * 2u + lane / 2u, pooled);
  let firstColumn = select(patchColumn, patchColumn * 2u + lane % 2u, pooled);
#else
  let firstRow = patchRow * PATCH_H;
  let firstColumn = patchColumn * PATCH_W;
#endif
  let groupInWords = layer.groupInWords;
  let groupStart = firstWord / layer.groupOutWords * groupInWords;
  let padding = ${paddingWgsl('layer.outWords * RECORD')};
  let steps = layer.steps;
  let rowWords = width * layer.inWords;

  let top = i32(firstRow) * STRIDE_H - i32(layer.padTop);
  let left = i32(firstColumn) * STRIDE_W - i32(layer.padLeft);
${unroll(offsets.length, (c) => inputColumn(c, offsets[c]))}
#if ${tile.winograd}
${unroll(patchHeight + 2, (r) => inputRow(r, `top + ${r}`, 'groupStart'))}
#endif
${unroll(pixels, (p) => unroll(words, (j) => `  var total${p}_${j} = vec4<i32>();`))}
  for (var first = 0u; first < steps; first += layer.flushSteps) {
    let end = min(first + layer.flushSteps, steps);
${unroll(pixels, (p) => unroll(words, (j) => `  var acc${p}_${j} = vec4<f32>();`))}
${tile.winograd ? winogradStepsWgsl(tile, weights) : directStepsWgsl(shape, tile, weights)}
${unroll(pixels, (p) => unroll(words, (j) => `  total${p}_${j} += largeIntegersOf(acc${p}_${j} * 0x1p-48);`))}
  }

  var results = array<vec4<i32>, PATCH_H * PATCH_W * WORDS>(
${unroll(pixels, (p) => unroll(words, (j) => `    total${p}_${j},`))}
  );
#if ${poolable}
  if (pooled) {
${unroll(pixels / 4, (p) => unroll(words, (j) => `    results[${p * words + j}] = ${pooledOf(p, j)};`))}
  }
  let scale = 1u + layer.pool;
#else
  let scale = 1u;
#endif
  let rows = PATCH_H / scale;
  let columns = PATCH_W / scale;
  for (var j = 0u; j < WORDS; j++) {
    let channels = channelsOf(firstWord + j);
    for (var r = 0u; r < rows; r++) {
    for (var c = 0u; c < columns; c++) {
      let acc = results[(r * columns + c) * WORDS + j];
#if ${onePixel}
      let greatest = max(max(acc.x, acc.y), max(acc.z, acc.w));
      let own = ownPixel(select(acc, vec4<i32>(greatest), pooled), lane);
      let row = patchRow;
      let column = patchColumn;
      let mine = !pooled | (lane == j % 4u);
#else
      let own = ownPixel(acc, lane);
      let row = firstRow / scale + r;
      let column = firstColumn / scale + c;
      let mine = true;
#endif
      if (mine & (patchIndex < patches) & (row < layer.outHeight) & (column < layer.outWidth)) {
        store((image * layer.outHeight + row) * layer.outWidth + column, channels, own);
      }
    }
    }
  }
}
`;
};
