import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Arithmetic, arithmeticWgsl } from './arithmetic.wgsl.ts';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { requantizeWgsl } from './requantize.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';
import { unroll } from './unroll.ts';

export interface MatMulShape {
  /** Of the whole batch. */
  readonly matrices: number;
  /** M, N, and u32 of the inner axis. */
  readonly height: number;
  readonly width: number;
  readonly words: number;
  readonly zeroPoints: readonly [a: number, b: number];
  readonly zeroPoint: number;
  /** Arguments of `requantizerOf`; null: the accumulators are the output. */
  readonly requantizer: string | null;
}

export interface MatMulTile {
  readonly arithmetic: Arithmetic;
  /** Rows of `a` that an invocation takes. */
  readonly rows: number;
}

/** Sizes, operands, and how accumulators are finished and stored: what the kernels of matMul share. */
export const matMulOutputWgsl = (shape: MatMulShape) => wgsl`
const MATRICES = ${shape.matrices}u;
const HEIGHT = ${shape.height}u;
const WIDTH = ${shape.width}u;
const WORDS = ${shape.words}u;
const OUT_WORDS = ${Math.ceil(shape.width / 4)}u;
const A_ZERO = ${shape.zeroPoints[0]};
const B_ZERO = ${shape.zeroPoints[1]};
@group(0) @binding(0) var<storage, read> a: array<u32, MATRICES * HEIGHT * WORDS>;
@group(0) @binding(1) var<storage, read> b: array<u32, MATRICES * WIDTH * WORDS>;
#if ${shape.requantizer === null}
@group(0) @binding(2) var<storage, read_write> y: array<vec4<i32>, MATRICES * HEIGHT * OUT_WORDS>;

// Lanes beyond the last column hold 0.
fn store(index: u32, values: vec4<i32>) {
  let columns = vec4<u32>(index % OUT_WORDS * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = select(vec4<i32>(), values, columns < vec4<u32>(WIDTH));
}

fn finish(acc: vec4<i32>) -> vec4<i32> {
  return acc;
}
#else
@group(0) @binding(2) var<storage, read_write> y: array<u32, MATRICES * HEIGHT * OUT_WORDS>;
${requantizeWgsl('native')}
${storeWgsl(shape.width, shape.zeroPoint)}
fn finish(acc: vec4<i32>) -> vec4<i32> {
  return requantize(acc, requantizerOf(${shape.requantizer ?? ''}));
}
#endif
`;

/**
 * Products of two activations, matrix by matrix.
 *
 *   a  [MATRICES][HEIGHT][WORDS] u32 of four int8
 *   b  [MATRICES][WIDTH][WORDS]: transposed, so that both have the inner axis innermost
 *   y  [MATRICES][HEIGHT][OUT_WORDS] u32 of four int8, or four accumulators each
 *
 * One invocation computes ROWS rows × 4 columns. Σ (a − z_a)(b − z_b) = Σ ab − z_b Σ a − z_a Σ b + K z_a z_b, K with the padded lanes, which
 * hold the zero points and so come to 0. Neighbouring invocations take neighbouring columns of the same rows.
 * Registers: ROWS accumulator vectors, ROWS + 4 inputs. Workgroup memory: none. |acc| < 2³¹ is proved at load; sums on the way may wrap.
 */
export const matMulWgsl = (shape: MatMulShape, { arithmetic, rows }: MatMulTile, grid: Grid) => {
  const isFlushed = arithmetic === 'f32';
  const target = isFlushed ? 'partial' : 'acc';
  return wgsl`
// ${arithmetic}, ${rows} rows × 4 columns an invocation.
const ROWS = ${rows}u;
const BLOCKS = ${Math.ceil(shape.height / rows)}u;
${matMulOutputWgsl(shape)}
${gridWgsl(grid)}
${arithmeticWgsl(arithmetic)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let word = index % OUT_WORDS;
  let block = index / OUT_WORDS;
  let matrix = block / BLOCKS;
  let first = block % BLOCKS * ROWS;
  let columns = min(vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(WIDTH - 1u));
  let start = (vec4<u32>(matrix * WIDTH) + columns) * WORDS;
${unroll(rows, (r) => `  let row${r} = (matrix * HEIGHT + min(first + ${r}u, HEIGHT - 1u)) * WORDS;\n  var acc${r} = vec4<i32>();\n  var rowSum${r} = 0;`)}
#if ${isFlushed}
${unroll(rows, (r) => `  var partial${r} = Acc();`)}
#endif
  var columnSums = vec4<i32>();

  for (var k = 0u; k < WORDS; k++) {
    let packed = vec4<u32>(b[start.x + k], b[start.y + k], b[start.z + k], b[start.w + k]);
    columnSums += vec4<i32>(sumOf(packed.x), sumOf(packed.y), sumOf(packed.z), sumOf(packed.w));
    let w = unpackWeights(packed);
${unroll(rows, (r) => `    let a${r} = a[row${r} + k];\n    rowSum${r} += sumOf(a${r});\n    ${target}${r} = multiplyAdd(${target}${r}, unpackInput(a${r}), w);`)}
#if ${isFlushed}
    if (k % FLUSH == FLUSH - 1u) {
${unroll(rows, (r) => `      acc${r} += vec4<i32>(partial${r});\n      partial${r} = Acc();`)}
    }
#endif
  }

  let correction = i32(WORDS) * 4 * (A_ZERO * B_ZERO) - A_ZERO * columnSums;
  let to = (matrix * HEIGHT + first) * OUT_WORDS + word;
${unroll(
  rows,
  (r) => `  if (first + ${r}u < HEIGHT) {
    store(to + ${r}u * OUT_WORDS, finish(acc${r}${isFlushed ? ` + vec4<i32>(partial${r})` : ''} + correction - B_ZERO * rowSum${r}));
  }`,
)}
}
`;
};
