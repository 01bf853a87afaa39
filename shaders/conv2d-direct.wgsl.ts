import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Arithmetic, arithmeticWgsl } from './arithmetic.wgsl.ts';
import { conv2dEpilogueWgsl, paddingWgsl } from './conv2d-epilogue.wgsl.ts';
import { type Conv2dShape, conv2dShapeWgsl, lastLanes } from './conv2d-shape.wgsl.ts';
import type { MatrixWeightsWgsl } from './conv2d-weights.ts';
import { conv2dWindowWgsl, poolOf, windowOffset } from './conv2d-window.wgsl.ts';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { unroll } from './unroll.ts';

export interface Conv2dDirectTile {
  readonly arithmetic: Arithmetic;
  /** Output pixels of an invocation. */
  readonly pixels: number;
  /** Output words (four channels) of an invocation; divides the words of a group. */
  readonly words: number;
}

/**
 * Convolution as an implicit GEMM in registers: no workgroup memory, no barriers. The plainest kernel; it takes every shape whose
 * groups are whole words.
 *
 *   x         [BATCH][HEIGHT][WIDTH][IN_WORDS] u32
 *   weights   [KERNEL_H · KERNEL_W · GROUP_IN_WORDS][OUT_WORDS] vec4<u32>: a word of four input channels for each of four output channels
 *   epilogue, y, residual: conv2d-epilogue.wgsl.ts
 *
 * One invocation computes PIXELS × 4·WORDS outputs, PIXELS consecutive in (batch, row, column), or PIXELS pooled ones (then it keeps
 * 4 · PIXELS accumulators). Neighbouring invocations take neighbouring channels of the same pixels: weights are read coalesced, inputs are
 * the same address for a whole subgroup.
 * Registers: 4 · WORDS · PIXELS (· 4) accumulators, PIXELS inputs, 4 weight words. Workgroup memory: none.
 * |acc| < 2³¹ is proved at load from the actual weights.
 */
export const conv2dDirectWgsl = (
  shape: Conv2dShape,
  tile: Conv2dDirectTile,
  grid: Grid,
  weights: MatrixWeightsWgsl,
) => {
  const { arithmetic, pixels, words } = tile;
  const window = shape.pool ? 4 : 1;
  const taps = pixels * window;
  const flushed = arithmetic === 'f32';
  const resultOf = (tap: number, j: number) => {
    const acc = flushed ? `acc${tap}_${j} + vec4<i32>(partial${tap}_${j})` : `acc${tap}_${j}`;
    return shape.weightZeroPoint ? `correct(${acc}, firstWord + ${j}u, sum${tap})` : acc;
  };
  return wgsl`
// ${arithmetic}, ${pixels} pixels × ${4 * words} channels an invocation.
${conv2dShapeWgsl(shape)}
const GROUP_OUT_WORDS = ${shape.outWords / shape.groups}u;
const PIXELS = ${pixels}u;
const WORDS = ${words}u;
const WORD_BLOCKS = OUT_WORDS / WORDS;
${weights.declaration}
${conv2dWindowWgsl(shape)}
${conv2dEpilogueWgsl(shape)}
${gridWgsl(grid)}
${arithmeticWgsl(arithmetic)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let firstWord = index % WORD_BLOCKS * WORDS;
  let firstPixel = index / WORD_BLOCKS * PIXELS;
  let groupStart = firstWord / GROUP_OUT_WORDS * GROUP_IN_WORDS;
  let padding = ${paddingWgsl()};

${unroll(pixels, (p) => `  let pixel${p} = min(firstPixel + ${p}u, OUT_PIXELS - 1u);\n  let start${p} = windowStart(pixel${p});`)}
${unroll(taps, (t) => unroll(words, (j) => `  var acc${t}_${j} = vec4<i32>();`))}
#if ${flushed}
${unroll(taps, (t) => unroll(words, (j) => `  var partial${t}_${j} = Acc();`))}
#endif
#if ${shape.weightZeroPoint}
${unroll(taps, (t) => `  var sum${t} = 0i;`)}
#endif

  var k = 0u;
  for (var ky = 0; ky < i32(KERNEL_H); ky++) {
    for (var kx = 0; kx < i32(KERNEL_W); kx++) {
      let row = ky * DILATION_H;
      let column = kx * DILATION_W;
${unroll(taps, (t) => `      let from${t} = inputStart(start${Math.floor(t / window)}, ${windowOffset(shape, t % window)});`)}
      for (var word = 0u; word < GROUP_IN_WORDS; word++) {
${unroll(taps, (t) => `        let packed${t} = inputWord(from${t}, groupStart + word, padding);\n        let x${t} = unpackInput(packed${t});`)}
${unroll(words, (j) => `        let w${j} = unpackWeights(${weights.load('k', `firstWord + ${j}u`)});`)}
${unroll(taps, (t) => unroll(words, (j) => `        ${flushed ? 'partial' : 'acc'}${t}_${j} = multiplyAdd(${flushed ? 'partial' : 'acc'}${t}_${j}, x${t}, w${j});`))}
#if ${shape.weightZeroPoint}
        // Lanes beyond the group's channels hold another value than 0: they must not count.
        let lanes = select(0xffffffffu, ${lastLanes(shape.groupInChannels)}u, word == GROUP_IN_WORDS - 1u);
${unroll(taps, (t) => `        sum${t} += sumOf(packed${t} & lanes);`)}
#endif
        k++;
#if ${flushed}
        if (k % FLUSH == 0u) {
${unroll(taps, (t) => unroll(words, (j) => `          acc${t}_${j} += vec4<i32>(partial${t}_${j});\n          partial${t}_${j} = Acc();`))}
        }
#endif
      }
    }
  }

  // From here on a loop: the epilogue is long, and nothing else has to stay in registers.
  var results = array<vec4<i32>, PIXELS * WORDS>(
${unroll(pixels, (p) => unroll(words, (j) => `    ${poolOf(Array.from({ length: window }, (_, i) => resultOf(p * window + i, j)))},`))}
  );
  for (var j = 0u; j < WORDS; j++) {
    let channels = channelsOf(firstWord + j);
    for (var p = 0u; p < PIXELS; p++) {
      if (firstPixel + p < OUT_PIXELS) {
        store(firstPixel + p, channels, results[p * WORDS + j]);
      }
    }
  }
}
`;
};
