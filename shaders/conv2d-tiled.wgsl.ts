import { type Arithmetic, arithmeticWgsl } from './arithmetic.wgsl.ts';
import { conv2dEpilogueWgsl, paddingWgsl } from './conv2d-epilogue.wgsl.ts';
import { type Conv2dShape, conv2dShapeWgsl, lastLanes } from './conv2d-shape.wgsl.ts';
import type { MatrixWeightsWgsl } from './conv2d-weights.ts';
import { conv2dWindowWgsl, poolOf } from './conv2d-window.wgsl.ts';
import { unroll } from './unroll.ts';
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

export interface Conv2dTiledTile {
  readonly arithmetic: Arithmetic;
  /** Convolution pixels and output channels of a workgroup, multiples of the thread's. Loading a step takes each invocation 4, 8, … words of pixels. */
  readonly tileM: number;
  readonly tileN: number;
  /** Words of K (four input channels each) that are in workgroup memory at a time; a power of two. */
  readonly kWords: number;
  /** Pixels and channels of an invocation, multiples of 4. */
  readonly threadM: number;
  readonly threadN: number;
}

/** Invocations of a workgroup. */
export function tiledInvocations({ tileM, tileN, threadM, threadN }: Conv2dTiledTile): number {
  return (tileM / threadM) * (tileN / threadN);
}

/** Bytes of workgroup memory. */
export function tiledBytes({ tileM, tileN, kWords }: Conv2dTiledTile): number {
  return (tileM + 4 + tileN) * kWords * 4;
}

/**
 * Convolution as an implicit GEMM with both operands staged in workgroup memory: M = pixels (batch folded in), N = output
 * channels, K = kernel rows × columns × input channels. No im2col matrix is ever stored: the loader computes where a row of it lies. One group.
 *
 *   x         [BATCH][HEIGHT][WIDTH][IN_WORDS] u32 of four int8
 *   weights   [K_WORDS][OUT_WORDS] vec4<u32>: a word of four input channels for each of four output channels
 *   tileX     [K_STEP][TILE_M / 4, 1 unused] vec4<u32>: a word of four input channels for each of four pixels  (workgroup)
 *   tileW     [K_STEP][TILE_N / 4] vec4<u32>  (workgroup)
 *   epilogue, y, residual: conv2d-epilogue.wgsl.ts
 *
 * A workgroup computes TILE_M × TILE_N outputs, an invocation THREAD_M × THREAD_N of them. A word of K costs it (THREAD_M + THREAD_N) / 4
 * vectors of workgroup memory for THREAD_M · THREAD_N packed dots. Where a pool is fused, four neighbouring rows of M are one pooled pixel,
 * so a window never leaves its invocation.
 * In the loader an invocation keeps its column of K and walks over pixels, four at a time: K is divided into (row, column, word) once a step,
 * neighbouring invocations read neighbouring words, and vectors are stored whole (WGSL lets a store to one component write all four).
 *
 * Registers: THREAD_M · THREAD_N accumulators. Workgroup memory: (TILE_M + TILE_N) · K_STEP words.
 * |acc| < 2³¹ is proved at load; in f32, a step of at most 32 words keeps sums below 2²¹.
 */
export const conv2dTiledWgsl = (shape: Conv2dShape, tile: Conv2dTiledTile, weights: MatrixWeightsWgsl) => {
  const { arithmetic, tileM, tileN, kWords, threadM, threadN } = tile;
  const invocations = tiledInvocations(tile);
  const words = threadN / 4;
  const window = shape.pool ? 4 : 1;
  const flushed = arithmetic === 'f32';
  const partial = flushed ? 'partial' : 'acc';
  const loadsX = (tileM * kWords) / invocations;
  const rowsBetweenLoads = (4 * invocations) / kWords;
  const loadsW = Math.ceil((kWords * tileN) / 4 / invocations);
  const resultOf = (p: number, j: number) =>
    poolOf(
      Array.from({ length: window }, (_, i) => {
        const acc = `acc${p * window + i}_${j}`;
        return shape.weightZeroPoint
          ? `correct(${acc}, min(tileWord + threadWord + ${j}u, OUT_WORDS - 1u), sum${p * window + i})`
          : acc;
      }),
    );
  const packedOf = (t: number) => `packed${Math.floor(t / 4)}.${'xyzw'[t % 4]}`;
  return wgsl`
// ${arithmetic}: ${tileM}×${tileN} outputs a workgroup, ${threadM}×${threadN} an invocation, ${kWords * 4} bytes of K a step.
${conv2dShapeWgsl(shape)}
const K_STEP = ${kWords}u;
const STEPS = (K_WORDS + K_STEP - 1u) / K_STEP;
const TILE_M = ${tileM}u;
// Rows of tileX are four words apart in memory banks, so that the loader's columns do not meet in one.
const TILE_M_VECTORS = TILE_M / 4u + 1u;
const TILE_WORDS = ${tileN / 4}u;
const INVOCATIONS = ${invocations}u;
const M = OUT_PIXELS * ${window}u;
${weights.declaration}
${conv2dWindowWgsl(shape)}
${conv2dEpilogueWgsl(shape)}
${arithmeticWgsl(arithmetic)}

var<workgroup> tileX: array<vec4<u32>, K_STEP * TILE_M_VECTORS>;
var<workgroup> tileW: array<vec4<u32>, K_STEP * TILE_WORDS>;

// The window behind row m of the GEMM.
fn rowStart(m: u32) -> vec3<i32> {
  let row = min(m, M - 1u);
#if ${shape.pool}
  let inPool = vec3<i32>(0, i32(row / 2u % 2u) * STRIDE_H, i32(row % 2u) * STRIDE_W);
  return windowStart(row / 4u) + inPool;
#else
  return windowStart(row);
#endif
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let tileStart = workgroup.x * TILE_M;
  let tileWord = workgroup.y * TILE_WORDS;
  let padding = ${paddingWgsl()};

  // Loader: this invocation's word of a K step, and its pixels.
  let loadK = local % K_STEP;
  let loadM = local / K_STEP * 4u;
${unroll(loadsX, (i) => `  let start${i} = rowStart(tileStart + loadM + ${Math.floor(i / 4) * rowsBetweenLoads + (i % 4)}u);`)}

  // Multiplier: this invocation's pixels and channels.
  let threadM = local / (TILE_WORDS / ${words}u) * ${threadM}u;
  let threadWord = local % (TILE_WORDS / ${words}u) * ${words}u;
${unroll(threadM, (t) => unroll(words, (j) => `  var acc${t}_${j} = vec4<i32>();`))}
#if ${shape.weightZeroPoint}
${unroll(threadM, (t) => `  var sum${t} = 0i;`)}
#endif

  for (var step = 0u; step < STEPS; step++) {
    let k = min(step * K_STEP + loadK, K_WORDS - 1u);
    let row = i32(k / (KERNEL_W * IN_WORDS)) * DILATION_H;
    let column = i32(k / IN_WORDS % KERNEL_W) * DILATION_W;
    let word = k % IN_WORDS;
#if ${shape.weightZeroPoint}
    // Lanes beyond the channels hold the zero point, and would count in the sum of inputs.
    let lanes = select(0xffffffffu, ${lastLanes(shape.groupInChannels)}u, word == IN_WORDS - 1u);
#else
    let lanes = 0xffffffffu;
#endif
    // Beyond the end of K the inputs are 0, whatever the weights.
    let mask = select(0u, lanes, step * K_STEP + loadK < K_WORDS);
${unroll(
  loadsX / 4,
  (
    i,
  ) => `    tileX[loadK * TILE_M_VECTORS + loadM / 4u + ${(i * rowsBetweenLoads) / 4}u] = vec4<u32>(mask) & vec4<u32>(
${unroll(4, (c) => `      inputWord(inputStart(start${4 * i + c}, row, column), word, padding),`)}
    );`,
)}
${unroll(loadsW, (i) => {
  const guard = (i + 1) * invocations > (kWords * tileN) / 4;
  const store = `{
      let at = local + ${i * invocations}u;
      let weightK = min(step * K_STEP + at / TILE_WORDS, K_WORDS - 1u);
      let weightWord = min(tileWord + at % TILE_WORDS, OUT_WORDS - 1u);
      tileW[at] = ${weights.load('weightK', 'weightWord')};
    }`;
  return guard ? `    if (local + ${i * invocations}u < K_STEP * TILE_WORDS) ${store}` : `    ${store}`;
})}
    workgroupBarrier();

#if ${flushed}
${unroll(threadM, (t) => unroll(words, (j) => `    var partial${t}_${j} = Acc();`))}
#endif
    for (var kk = 0u; kk < K_STEP; kk++) {
${unroll(threadM / 4, (i) => `      let packed${i} = tileX[kk * TILE_M_VECTORS + threadM / 4u + ${i}u];`)}
${unroll(threadM, (t) => `      let x${t} = unpackInput(${packedOf(t)});`)}
${unroll(words, (j) => `      let w${j} = unpackWeights(tileW[kk * TILE_WORDS + threadWord + ${j}u]);`)}
${unroll(threadM, (t) => unroll(words, (j) => `      ${partial}${t}_${j} = multiplyAdd(${partial}${t}_${j}, x${t}, w${j});`))}
#if ${shape.weightZeroPoint}
${unroll(threadM, (t) => `      sum${t} += sumOf(${packedOf(t)});`)}
#endif
    }
#if ${flushed}
${unroll(threadM, (t) => unroll(words, (j) => `    acc${t}_${j} += vec4<i32>(partial${t}_${j});`))}
#endif
    workgroupBarrier();
  }

  const PIXELS = ${threadM / window}u;
  const WORDS = ${words}u;
  let firstPixel = (tileStart + threadM) / ${window}u;
  var results = array<vec4<i32>, PIXELS * WORDS>(
${unroll(threadM / window, (p) => unroll(words, (j) => `    ${resultOf(p, j)},`))}
  );
  for (var j = 0u; j < WORDS; j++) {
    if (tileWord + threadWord + j < OUT_WORDS) {
      let channels = channelsOf(tileWord + threadWord + j);
      for (var p = 0u; p < PIXELS; p++) {
        if (firstPixel + p < OUT_PIXELS) {
          store(firstPixel + p, channels, results[p * WORDS + j]);
        }
      }
    }
  }
}
`;
};
