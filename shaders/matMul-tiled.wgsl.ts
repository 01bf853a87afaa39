import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Arithmetic, arithmeticWgsl } from './arithmetic.wgsl.ts';
import { matMulOutputWgsl, type MatMulShape } from './matMul.wgsl.ts';
import { unroll } from './unroll.ts';

export interface MatMulTiledTile {
  readonly arithmetic: Arithmetic;
  /** Rows and columns of a workgroup, multiples of the thread's. Loading a step takes each invocation 4, 8, … words of either. */
  readonly tileM: number;
  readonly tileN: number;
  /** Words of the inner axis (four elements each) that are in workgroup memory at a time; a power of two. */
  readonly kWords: number;
  /** Rows and columns of an invocation, multiples of 4. */
  readonly threadM: number;
  readonly threadN: number;
}

/** Invocations of a workgroup. */
export function matMulTiledInvocations({ tileM, tileN, threadM, threadN }: MatMulTiledTile): number {
  return (tileM / threadM) * (tileN / threadN);
}

/** Bytes of workgroup memory. */
export function matMulTiledBytes({ tileM, tileN, kWords }: MatMulTiledTile): number {
  return (tileM + tileN + 8) * kWords * 4;
}

/**
 * Products of two activations with both staged in workgroup memory, a workgroup for TILE_M × TILE_N elements of one matrix (z), an invocation
 * for THREAD_M × THREAD_N of them.
 *
 *   a, b, y   matMul.wgsl.ts
 *   tileA     [K_STEP][TILE_M / 4, 1 unused] vec4<u32>: a word of the inner axis for each of four rows  (workgroup)
 *   tileB     [K_STEP][TILE_N / 4, 1 unused] vec4<u32>: for each of four columns  (workgroup)
 *
 * Both operands have the inner axis innermost, so both are loaded alike: an invocation keeps its word of a step and walks over rows, four at a
 * time, and neighbouring invocations read neighbouring words. Words beyond the inner axis are 0 and add nothing to any of the sums. The
 * sums of rows and columns are taken only where the other operand has a zero point.
 * Registers: THREAD_M · THREAD_N accumulators. In f32, a step of at most 32 words keeps sums of products below 2²¹; the sums of rows and columns stay
 * below 2²⁴, since |acc| < 2³¹ bounds the inner axis to less than 2¹⁷. |acc| < 2³¹ is proved at load; sums on the
 * way may wrap.
 */
export const matMulTiledWgsl = (shape: MatMulShape, tile: MatMulTiledTile) => {
  const { arithmetic, tileM, tileN, kWords, threadM, threadN } = tile;
  const [aZero, bZero] = shape.zeroPoints;
  const invocations = matMulTiledInvocations(tile);
  const words = threadN / 4;
  const isFlushed = arithmetic === 'f32';
  const target = isFlushed ? 'partial' : 'acc';
  const rowsBetweenLoads = (4 * invocations) / kWords;
  const packedOf = (operand: string, t: number) => `${operand}${Math.floor(t / 4)}.${'xyzw'[t % 4]}`;
  const load = (operand: 'a' | 'b', rows: number, first: string, limit: string) =>
    unroll(
      (rows * kWords) / invocations / 4,
      (
        i,
      ) => `    tile${operand.toUpperCase()}[loadK * ${rows / 4 + 1}u + loadM / 4u + ${(i * rowsBetweenLoads) / 4}u] = mask & vec4<u32>(
${unroll(4, (c) => `      ${operand}[(matrix * ${limit} + min(${first} + loadM + ${i * rowsBetweenLoads + c}u, ${limit} - 1u)) * WORDS + k],`)}
    );`,
    );
  return wgsl`
// ${arithmetic}: ${tileM}×${tileN} elements a workgroup, ${threadM}×${threadN} an invocation, ${kWords * 4} bytes of the inner axis a step.
const K_STEP = ${kWords}u;
const STEPS = (WORDS + K_STEP - 1u) / K_STEP;
const TILE_M = ${tileM}u;
const TILE_N = ${tileN}u;
const INVOCATIONS = ${invocations}u;
${matMulOutputWgsl(shape)}
${arithmeticWgsl(arithmetic)}
#if ${arithmetic === 'dot4I8Packed'}
alias Sum = i32;

fn lanesOf(x: Input) -> Sum {
  return sumOf(x);
}
#else
#if ${isFlushed}
alias Sum = f32;
#else
alias Sum = i32;
#endif

fn lanesOf(x: Input) -> Sum {
  return dot(x, Input(1));
}
#endif

// Rows are four words apart in memory banks, so that the loader's words do not meet in one.
var<workgroup> tileA: array<vec4<u32>, K_STEP * (TILE_M / 4u + 1u)>;
var<workgroup> tileB: array<vec4<u32>, K_STEP * (TILE_N / 4u + 1u)>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let matrix = workgroup.z;
  let firstRow = workgroup.x * TILE_M;
  let firstColumn = workgroup.y * TILE_N;

  // Loader: this invocation's word of a step, and its rows.
  let loadK = local % K_STEP;
  let loadM = local / K_STEP * 4u;

  // Multiplier: this invocation's rows and columns.
  let threadM = local / (TILE_N / ${threadN}u) * ${threadM}u;
  let threadN = local % (TILE_N / ${threadN}u) * ${threadN}u;
${unroll(threadM, (t) => unroll(words, (j) => `  var acc${t}_${j} = vec4<i32>();`))}
${unroll(threadM, (t) => `  var rowSum${t} = Sum();`)}
${unroll(words, (j) => `  var columnSum${j} = vec4<Sum>();`)}

  for (var step = 0u; step < STEPS; step++) {
    let k = min(step * K_STEP + loadK, WORDS - 1u);
    let mask = vec4<u32>(select(0u, 0xffffffffu, step * K_STEP + loadK < WORDS));
${load('a', tileM, 'firstRow', 'HEIGHT')}
${load('b', tileN, 'firstColumn', 'WIDTH')}
    workgroupBarrier();

#if ${isFlushed}
${unroll(threadM, (t) => unroll(words, (j) => `    var partial${t}_${j} = Acc();`))}
#endif
    for (var kk = 0u; kk < K_STEP; kk++) {
${unroll(threadM / 4, (i) => `      let a${i} = tileA[kk * (TILE_M / 4u + 1u) + threadM / 4u + ${i}u];`)}
${unroll(threadM, (t) => `      let x${t} = unpackInput(${packedOf('a', t)});`)}
${unroll(words, (j) => `      let w${j} = unpackWeights(tileB[kk * (TILE_N / 4u + 1u) + threadN / 4u + ${j}u]);`)}
${unroll(threadM, (t) => unroll(words, (j) => `      ${target}${t}_${j} = multiplyAdd(${target}${t}_${j}, x${t}, w${j});`))}
#if ${bZero !== 0}
${unroll(threadM, (t) => `      rowSum${t} += lanesOf(x${t});`)}
#endif
#if ${aZero !== 0}
${unroll(words, (j) => `      columnSum${j} += vec4<Sum>(${unroll(4, (c) => `lanesOf(w${j}[${c}])${c < 3 ? ',' : ''}`)});`)}
#endif
    }
#if ${isFlushed}
${unroll(threadM, (t) => unroll(words, (j) => `    acc${t}_${j} += vec4<i32>(partial${t}_${j});`))}
#endif
    workgroupBarrier();
  }

  let constant = i32(WORDS) * 4 * (A_ZERO * B_ZERO);
  let row = firstRow + threadM;
  let word = (firstColumn + threadN) / 4u;
${unroll(words, (j) => `  let correction${j} = vec4<i32>(constant) - A_ZERO * vec4<i32>(columnSum${j});`)}
${unroll(threadM, (t) =>
  unroll(
    words,
    (j) => `  if (row + ${t}u < HEIGHT && word + ${j}u < OUT_WORDS) {
    store((matrix * HEIGHT + row + ${t}u) * OUT_WORDS + word + ${j}u, finish(acc${t}_${j} + correction${j} - B_ZERO * i32(rowSum${t})));
  }`,
  ),
)}
}
`;
};
