import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { arithmeticWgsl } from './arithmetic.wgsl.ts';
import { conv2dEpilogueWgsl } from './conv2d-epilogue.wgsl.ts';
import { type Conv2dShape, conv2dShapeWgsl, outputSize } from './conv2d-shape.wgsl.ts';
import { poolOf } from './conv2d-window.wgsl.ts';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { unroll } from './unroll.ts';

export interface Conv2dQuadTile {
  /** Convolution pixels of a lane, a patch of the image; even both ways where a pool is fused. */
  readonly patch: readonly [height: number, width: number];
  /** Output words (four channels) of a quad; divides the words of a group. */
  readonly words: number;
  /** Steps (one row of the kernel, one word of input channels each) whose sums stay below 2²⁴, by the layer's own weights. */
  readonly flushSteps: number;
}

/**
 * Convolution in exact f32 for software adapters, where a load costs as much as fifty multiplications: what the four lanes of a
 * quad load is shared by all of them.
 *
 *   x         [BATCH][HEIGHT][WIDTH][IN_WORDS] u32 of four int8
 *   weights   [KERNEL_H · KERNEL_W · GROUP_IN_WORDS][OUT_WORDS][4] u32: a word of four input channels for each output channel
 *   epilogue, y, residual: conv2d-epilogue.wgsl.ts
 *
 * A quad computes four patches of pixels × 4·WORDS channels. Lane l loads the inputs of its own patch, and of each word of output
 * channels the weights of channel l. Swapping the weights between lanes (one shuffle each) brings every weight to every
 * patch: component r of an accumulator of lane l belongs to channel l ^ r, and is put in order at the end.
 * Within a patch, an input serves all the taps of a kernel row that meet it. The taps of a row are unrolled; the loop runs over rows and
 * words of input channels, long enough a body that what a software adapter spends on each loop-carried value does not show.
 *
 * Registers: 4 · WORDS · patch accumulators. Workgroup memory: none.
 * Preconditions: quads are four consecutive invocations of a workgroup; FLUSH_STEPS as the tile says, so that every partial sum is an
 * integer below 2²⁴. |acc| < 2³¹ is proved at load.
 */
export const conv2dQuadWgsl = (shape: Conv2dShape, tile: Conv2dQuadTile, grid: Grid) => {
  const { patch, words, flushSteps } = tile;
  const [outHeight, outWidth] = outputSize(shape);
  const [patchHeight, patchWidth] = patch;
  const pixels = patchHeight * patchWidth;
  const scale = shape.pool ? 2 : 1;
  const patchRows = Math.ceil((outHeight * scale) / patchHeight);
  const patchColumns = Math.ceil((outWidth * scale) / patchWidth);
  const groupInWords = Math.ceil(shape.groupInChannels / 4);
  const steps = shape.kernel[0] * groupInWords;
  const flushed = steps > flushSteps;
  const [, kernelWidth] = shape.kernel;

  // Input columns that some tap of some pixel of the patch needs, as offsets from the patch's first.
  const offsetOf = (column: number, kx: number) => column * shape.stride[1] + kx * shape.dilation[1];
  const offsets = [
    ...new Set(
      Array.from({ length: patchWidth * kernelWidth }, (_, i) =>
        offsetOf(i % patchWidth, Math.floor(i / patchWidth)),
      ),
    ),
  ].sort((a, b) => a - b);
  const accOf = (row: number, column: number, j: number) => `acc${row * patchWidth + column}_${j}`;
  const resultOf = (p: number, j: number) => {
    const outColumns = patchWidth / scale;
    const [row, column] = [Math.floor(p / outColumns) * scale, (p % outColumns) * scale];
    return poolOf(
      Array.from({ length: scale * scale }, (_, i) => {
        const acc = accOf(row + Math.floor(i / scale), column + (i % scale), j);
        return flushed ? `total${acc.slice(3)}` : `vec4<i32>(${acc})`;
      }),
    );
  };
  return wgsl`
enable subgroups;

// f32, ${patchHeight}×${patchWidth} pixels a lane, ${4 * words} channels a quad.
${conv2dShapeWgsl(shape)}
const GROUP_IN_WORDS = ${groupInWords}u;
const GROUP_OUT_WORDS = ${shape.outWords / shape.groups}u;
const WORDS = ${words}u;
const STEPS = ${steps}u;
const PATCH_H = ${patchHeight}u;
const PATCH_W = ${patchWidth}u;
const PATCH_ROWS = ${patchRows}u;
const PATCH_COLUMNS = ${patchColumns}u;
const PATCH_GROUPS = (BATCH * PATCH_ROWS * PATCH_COLUMNS + 3u) / 4u;
const PATCHES = BATCH * PATCH_ROWS * PATCH_COLUMNS;
@group(0) @binding(0) var<storage, read> x: array<u32, BATCH * HEIGHT * WIDTH * IN_WORDS>;
@group(0) @binding(1) var<storage, read> weights: array<u32, STEPS * KERNEL_W * OUT_WORDS * 4u>;
${conv2dEpilogueWgsl(shape)}
${gridWgsl(grid)}
${arithmeticWgsl('f32')}

// Component r of a quad's accumulator belongs to channel lane ^ r.
fn inOrder(acc: vec4<i32>, lane: u32) -> vec4<i32> {
  let pairs = select(acc, acc.yxwz, (lane & 1u) != 0u);
  return select(pairs, pairs.zwxy, (lane & 2u) != 0u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  // Quads beyond the last repeat it and store nothing: shuffles want every lane.
  let index = min(invocationIndex(workgroup, local), INVOCATIONS - 4u + local % 4u);
  let lane = local % 4u;
  // Neighbouring quads take neighbouring patches with the same weights: those stay in the cache.
  let firstWord = index / 4u / PATCH_GROUPS * WORDS;
  let patchIndex = index / 4u % PATCH_GROUPS * 4u + lane;
  let at = min(patchIndex, PATCHES - 1u);
  let image = at / (PATCH_ROWS * PATCH_COLUMNS);
  let firstRow = at / PATCH_COLUMNS % PATCH_ROWS * PATCH_H;
  let firstColumn = at % PATCH_COLUMNS * PATCH_W;
  let groupStart = firstWord / GROUP_OUT_WORDS * GROUP_IN_WORDS;
  let padding = bitcast<u32>(epilogue[LAYER_RECORD].x);

  let top = i32(firstRow) * STRIDE_H - PAD_TOP;
  let left = i32(firstColumn) * STRIDE_W - PAD_LEFT;
${unroll(
  offsets.length,
  (c) => `  let column${c} = left + ${offsets[c]};
  let columnInside${c} = column${c} >= 0 && column${c} < i32(WIDTH);
  let columnStart${c} = u32(clamp(column${c}, 0, i32(WIDTH) - 1)) * IN_WORDS;`,
)}
#if ${flushed}
${unroll(pixels, (p) => unroll(words, (j) => `  var total${p}_${j} = vec4<i32>();`))}
  for (var first = 0u; first < STEPS; first += ${flushSteps}u) {
    let end = min(first + ${flushSteps}u, STEPS);
#else
    let first = 0u;
    let end = STEPS;
#endif
${unroll(pixels, (p) => unroll(words, (j) => `  var acc${p}_${j} = vec4<f32>();`))}
  var ky = first / GROUP_IN_WORDS;
  var word = first % GROUP_IN_WORDS;
  for (var step = first; step < end; step++) {
${unroll(
  patchHeight,
  (r) => `    let row${r} = top + ${r} * STRIDE_H + i32(ky) * DILATION_H;
    let rowInside${r} = row${r} >= 0 && row${r} < i32(HEIGHT);
    let rowStart${r} = (image * HEIGHT + u32(clamp(row${r}, 0, i32(HEIGHT) - 1))) * (WIDTH * IN_WORDS) + groupStart + word;
${unroll(offsets.length, (c) => `    let x${r}_${c} = unpackInput(select(padding, x[rowStart${r} + columnStart${c}], rowInside${r} && columnInside${c}));`)}`,
)}
    let k = ky * (KERNEL_W * GROUP_IN_WORDS) + word;
${unroll(kernelWidth, (kx) =>
  unroll(
    words,
    (
      j,
    ) => `    let w${kx}_${j} = unpackInput(weights[((k + ${kx}u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + ${j}u) * 4u + lane]);
    let w${kx}_${j}x = quadSwapX(w${kx}_${j});
    let w${kx}_${j}y = quadSwapY(w${kx}_${j});
    let w${kx}_${j}d = quadSwapDiagonal(w${kx}_${j});
${unroll(pixels, (p) => {
  const input = `x${Math.floor(p / patchWidth)}_${offsets.indexOf(offsetOf(p % patchWidth, kx))}`;
  const w = `w${kx}_${j}`;
  return `    acc${p}_${j} += vec4<f32>(dot(${input}, ${w}), dot(${input}, ${w}x), dot(${input}, ${w}y), dot(${input}, ${w}d));`;
})}`,
  ),
)}
    word++;
    if (word == GROUP_IN_WORDS) {
      word = 0u;
      ky++;
    }
  }
#if ${flushed}
${unroll(pixels, (p) => unroll(words, (j) => `  total${p}_${j} += vec4<i32>(acc${p}_${j});`))}
  }
#endif

  const ROWS = PATCH_H / ${scale}u;
  const COLUMNS = PATCH_W / ${scale}u;
  var results = array<vec4<i32>, ROWS * COLUMNS * WORDS>(
${unroll(pixels / (scale * scale), (p) => unroll(words, (j) => `    ${resultOf(p, j)},`))}
  );
  for (var j = 0u; j < WORDS; j++) {
    let channels = channelsOf(firstWord + j);
    for (var p = 0u; p < ROWS * COLUMNS; p++) {
      let row = firstRow / ${scale}u + p / COLUMNS;
      let column = firstColumn / ${scale}u + p % COLUMNS;
      if (patchIndex < PATCHES && row < OUT_HEIGHT && column < OUT_WIDTH) {
        store((image * OUT_HEIGHT + row) * OUT_WIDTH + column, channels, inOrder(results[p * WORDS + j], lane));
      }
    }
  }
}
`;
};
