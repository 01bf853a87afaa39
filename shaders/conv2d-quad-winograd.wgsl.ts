import type { BlockedWeightsWgsl } from './conv2d-weights.ts';
import { SWAPS, swapped } from './quad-swap.ts';
import { unroll } from './unroll.ts';

/** a + b + c and b − c − d of four values: Aᵀ. */
const outputTransform = [
  ([a, b, c]: readonly string[]) => `${a} + ${b} + ${c}`,
  ([, b, c, d]: readonly string[]) => `${b} - ${c} - ${d}`,
];

/** Bᵀ, and the halves of G: dyadic fractions, which f32 holds exactly. */
const inputTransform = [
  ([a, , c]: readonly string[]) => `${a} - ${c}`,
  ([, b, c]: readonly string[]) => `(${b} + ${c}) * 0.5`,
  ([, b, c]: readonly string[]) => `(${c} - ${b}) * 0.5`,
  ([, b, , d]: readonly string[]) => `${b} - ${d}`,
];

/** G with its inner rows doubled. */
const weightTransform = [
  ([a]: readonly string[]) => `${a}`,
  ([a, b, c]: readonly string[]) => `${a} + ${b} + ${c}`,
  ([a, b, c]: readonly string[]) => `${a} - ${b} + ${c}`,
  ([, , c]: readonly string[]) => `${c}`,
];

/**
 * The steps of the quad kernel (conv2d-quad.wgsl.ts) for 3×3 kernels of stride 1 by Winograd's F(2×2, 3×3) (Lavin & Gray, "Fast Algorithms
 * for Convolutional Neural Networks", 2016, section 4.1): 16 products make four outputs instead of 36. A step is one word of input channels and
 * all taps. Inputs and weights are transformed in registers, behind loads and unpacking, which cost as much as ten multiply-adds each: what
 * is loaded is int8 as ever.
 *
 * Exact, as integers in quarters (of the halves in Bᵀ) times the unpacked scale: four products are at most 4 · 512 · 1152, what the first of the
 * two output transforms leaves is no more, and each adds up three: below 2²³. What a step adds to an accumulator is the sum of the plain
 * products of nine words.
 *
 * @param tile a patch of two rows and an even number of columns
 */
export function winogradStepsWgsl(
  { patch, words }: { readonly patch: readonly [height: number, width: number]; readonly words: number },
  weights: BlockedWeightsWgsl,
): string {
  const columns = patch[1] + 2;
  const tiles = patch[1] / 2;
  const range = (length: number) => Array.from({ length }, (_, i) => i);

  const column = (c: number) => `${unroll(
    4,
    (r) =>
      `      let d${r}_${c} = unpackScaled(select(padding, packed${r}_${c}, rowInside${r} & columnInside${c}));`,
  )}
${unroll(4, (i) => `      let v${i}_${c} = ${inputTransform[i](range(4).map((r) => `d${r}_${c}`))};`)}`;

  const input = (t: number, i: number, k: number) => {
    const name = `x${t}_${i}_${k}`;
    return `      let ${name} = ${inputTransform[k](range(4).map((c) => `v${i}_${2 * t + c}`))};
${swapped(name)}`;
  };

  const weightColumn = (j: number, kx: number) => `${unroll(
    3,
    (ky) => `      let g${j}_${ky}_${kx} = unpackScaled(packedW${ky}_${kx}_${j});`,
  )}
${unroll(4, (i) => `      let h${j}_${i}_${kx} = ${weightTransform[i](range(3).map((ky) => `g${j}_${ky}_${kx}`))};`)}`;

  // Position by position, so that few values live at a time.
  const products = (j: number, i: number, k: number) => {
    const weight = `w${j}_${i}_${k}`;
    const product = (t: number) => SWAPS.map((swap) => `dot(x${t}_${i}_${k}${swap}, ${weight})`).join(', ');
    return `      let ${weight} = ${weightTransform[k](range(3).map((kx) => `h${j}_${i}_${kx}`))};
${unroll(tiles, (t) => `      let m${t}_${j}_${i}_${k} = vec4<f32>(${product(t)});`)}`;
  };

  const outputRow = (t: number, j: number, r: number, k: number) =>
    `      let a${t}_${j}_${r}_${k} = ${outputTransform[r](range(4).map((i) => `m${t}_${j}_${i}_${k}`))};`;

  const output = (t: number, j: number, r: number, c: number) =>
    `      acc${r * patch[1] + 2 * t + c}_${j} += ${outputTransform[c](range(4).map((k) => `a${t}_${j}_${r}_${k}`))};`;

  const word = (j: number) => `${unroll(3, (kx) => weightColumn(j, kx))}
${unroll(
  4,
  (k) => `${unroll(4, (i) => products(j, i, k))}
${unroll(tiles, (t) => unroll(2, (r) => outputRow(t, j, r, k)))}`,
)}
${unroll(tiles, (t) => unroll(2, (r) => unroll(2, (c) => output(t, j, r, c))))}`;

  const weightRow = (
    ky: number,
  ) => `      ${weights.begin(`firstWeight${ky}`, `(block * 3u + ${ky}u) * groupInWords + step`)}
${unroll(3, (kx) =>
  unroll(
    words,
    (j) => `      let packedW${ky}_${kx}_${j} = ${weights.load(`firstWeight${ky}`, kx * words + j)};`,
  ),
)}`;

  return `
    for (var step = first; step < end; step++) {
${unroll(4, (r) =>
  unroll(columns, (c) => `      let packed${r}_${c} = x[rowStart${r} + columnStart${c} + step];`),
)}
${unroll(3, weightRow)}
${unroll(columns, column)}
${unroll(tiles, (t) => unroll(4, (i) => unroll(4, (k) => input(t, i, k))))}
${unroll(words, word)}
    }`;
}
