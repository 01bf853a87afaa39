import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Arithmetic, arithmeticWgsl } from './arithmetic.wgsl.ts';
import { conv2dEpilogueWgsl, paddingWgsl } from './conv2d-epilogue.wgsl.ts';
import { type Conv2dShape, conv2dShapeWgsl, lastLanes } from './conv2d-shape.wgsl.ts';
import type { MatrixWeightsWgsl } from './conv2d-weights.ts';
import { conv2dWindowWgsl, poolOf, windowOffset } from './conv2d-window.wgsl.ts';
import { unroll } from './unroll.ts';

export interface Conv2dSplitKTile {
  readonly arithmetic: Arithmetic;
  /** Output pixels of a workgroup; each is four convolution pixels where a pool is fused. */
  readonly pixels: number;
  /** Output words (four channels) of a workgroup, and how many invocations share the K of each. */
  readonly words: number;
  readonly slices: number;
}

/** Bytes of workgroup memory. */
export function splitKBytes({ pixels, words, slices }: Conv2dSplitKTile, pool: boolean): number {
  return pixels * (pool ? 4 : 1) * words * slices * 16;
}

/**
 * Convolution for few pixels, dense layers at small batch above all (then it is a matrix-vector product): with little to share
 * between outputs the device is filled by splitting K among the invocations of a workgroup. One group.
 *
 *   x         [BATCH][HEIGHT][WIDTH][IN_WORDS] u32 of four int8
 *   weights   [K_WORDS][OUT_WORDS] vec4<u32>: a word of four input channels for each of four output channels
 *   partials  [SLICES][TAPS][WORDS] vec4<i32>  (workgroup)
 *   epilogue, y, residual: conv2d-epilogue.wgsl.ts
 *
 * Invocation (slice, word) sums every SLICES-th word of input channels of PIXELS outputs for one word of output channels; then the
 * first slices add up the partial sums, an output each. Neighbouring invocations read neighbouring weights, all with the same input.
 *
 * Registers: PIXELS (· 4 if pooled) accumulator vectors. Workgroup memory: as many vectors for each invocation. |acc| < 2³¹ is proved at load,
 * and so of every partial sum.
 */
export const conv2dSplitKWgsl = (shape: Conv2dShape, tile: Conv2dSplitKTile, weights: MatrixWeightsWgsl) => {
  const { arithmetic, pixels, words, slices } = tile;
  const window = shape.pool ? 4 : 1;
  const taps = pixels * window;
  const flushed = arithmetic === 'f32';
  const partial = flushed ? 'partial' : 'acc';
  return wgsl`
// ${arithmetic}: ${pixels} pixels × ${words * 4} channels a workgroup, K in ${slices} slices.
${conv2dShapeWgsl(shape)}
const PIXELS = ${pixels}u;
const TAPS = ${taps}u;
const WORDS = ${words}u;
const SLICES = ${slices}u;
const SLICE_WORDS = (IN_WORDS + SLICES - 1u) / SLICES;
${weights.declaration}
${conv2dWindowWgsl(shape)}
${conv2dEpilogueWgsl(shape)}
${arithmeticWgsl(arithmetic)}

var<workgroup> partials: array<vec4<i32>, SLICES * TAPS * WORDS>;

// Sum of one convolution pixel over all slices.
fn total(tap: u32, word: u32) -> vec4<i32> {
  var sum = vec4<i32>();
  for (var slice = 0u; slice < SLICES; slice++) {
    sum += partials[(slice * TAPS + tap) * WORDS + word];
  }
  return sum;
}

@compute @workgroup_size(SLICES * WORDS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let localWord = local % WORDS;
  let slice = local / WORDS;
  let outWord = workgroup.x * WORDS + localWord;
  let loadWord = min(outWord, OUT_WORDS - 1u);
  let firstPixel = workgroup.y * PIXELS;
  let padding = ${paddingWgsl()};
${unroll(pixels, (p) => `  let start${p} = windowStart(min(firstPixel + ${p}u, OUT_PIXELS - 1u));`)}
${unroll(taps, (t) => `  var acc${t} = vec4<i32>();`)}
#if ${shape.weightZeroPoint}
${unroll(taps, (t) => `  var sum${t} = 0i;`)}
#endif

  for (var ky = 0u; ky < KERNEL_H; ky++) {
    for (var kx = 0u; kx < KERNEL_W; kx++) {
      let row = i32(ky) * DILATION_H;
      let column = i32(kx) * DILATION_W;
${unroll(taps, (t) => `      let from${t} = inputStart(start${Math.floor(t / window)}, ${windowOffset(shape, t % window)});`)}
#if ${flushed}
${unroll(taps, (t) => `      var partial${t} = Acc();`)}
#endif
      for (var i = 0u; i < SLICE_WORDS; i++) {
        let at = i * SLICES + slice;
        let word = min(at, IN_WORDS - 1u);
        // Beyond the last word the inputs are 0, whatever the weights.
#if ${shape.weightZeroPoint}
        let lanes = select(0xffffffffu, ${lastLanes(shape.groupInChannels)}u, at == IN_WORDS - 1u);
        let mask = select(0u, lanes, at < IN_WORDS);
#else
        let mask = select(0u, 0xffffffffu, at < IN_WORDS);
#endif
        let w = unpackWeights(${weights.load('((ky * KERNEL_W + kx) * IN_WORDS + word)', 'loadWord')});
${unroll(
  taps,
  (t) => `        let packed${t} = inputWord(from${t}, word, padding) & mask;
        ${partial}${t} = multiplyAdd(${partial}${t}, unpackInput(packed${t}), w);`,
)}
#if ${shape.weightZeroPoint}
${unroll(taps, (t) => `        sum${t} += sumOf(packed${t});`)}
#endif
#if ${flushed}
        if (i % FLUSH == FLUSH - 1u) {
${unroll(taps, (t) => `          acc${t} += vec4<i32>(partial${t});\n          partial${t} = Acc();`)}
        }
#endif
      }
#if ${flushed}
${unroll(taps, (t) => `      acc${t} += vec4<i32>(partial${t});`)}
#endif
    }
  }

${unroll(taps, (t) => `  partials[(slice * TAPS + ${t}u) * WORDS + localWord] = ${shape.weightZeroPoint ? `correct(acc${t}, loadWord, sum${t})` : `acc${t}`};`)}
  workgroupBarrier();
  for (var p = slice; p < PIXELS; p += SLICES) {
    if (firstPixel + p < OUT_PIXELS && outWord < OUT_WORDS) {
      let acc = ${poolOf(Array.from({ length: window }, (_, i) => `total(p * ${window}u + ${i}u, localWord)`))};
      store(firstPixel + p, channelsOf(outWord), acc);
    }
  }
}
`;
};
