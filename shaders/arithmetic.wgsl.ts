import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/** How a kernel multiplies int8 by int8 into int32, exactly in each case. */
export type Arithmetic = 'dot4I8Packed' | 'f32' | 'i32';

/** Words of four products, of at most 2¹⁴ each, that add up to no more than 2²⁴: f32 holds every integer until then. */
export const EXACT_WORDS = 256;

/**
 * The three arithmetic families behind one set of names, for kernels that take four input channels (a word) times four output
 * channels at a step:
 *   Input    one word of four input channels, as the family multiplies it
 *   Weights  four words, one an output channel
 *   multiplyAdd(acc, x, w)  acc[c] += Σ_i x[i] · w[c][i]
 *   sumOf(word)             Σ_i x[i], for weights with a zero point
 *
 * f32 is exact while every partial sum is below 2²⁴: at most FLUSH steps of four products of at most 2¹⁴ each may follow
 * one another before the sum is moved into an int32.
 */
export const arithmeticWgsl = (arithmetic: Arithmetic) => wgsl`
#if ${arithmetic === 'dot4I8Packed'}
alias Input = u32;
alias Weights = vec4<u32>;
alias Acc = vec4<i32>;

fn unpackInput(word: u32) -> Input {
  return word;
}

fn unpackWeights(words: vec4<u32>) -> Weights {
  return words;
}

fn multiplyAdd(acc: Acc, x: Input, w: Weights) -> Acc {
  return acc + vec4<i32>(
    dot4I8Packed(x, w.x), dot4I8Packed(x, w.y), dot4I8Packed(x, w.z), dot4I8Packed(x, w.w));
}

fn sumOf(word: u32) -> i32 {
  return dot4I8Packed(word, 0x01010101u);
}
#else
#if ${arithmetic === 'f32'}
alias Acc = vec4<f32>;
alias Input = vec4<f32>;
const FLUSH = ${EXACT_WORDS}u;
#else
alias Acc = vec4<i32>;
alias Input = vec4<i32>;
#endif
alias Weights = array<Input, 4>;

#if ${arithmetic === 'f32'}
// Each byte is moved to the top of a word, where its sign is; the exact factor 2⁻²⁴ brings it back as a float. Integer shifts, which
// unpack4xI8 is made of, are slow on the adapters that this family is for.
fn unpackInput(word: u32) -> Input {
  let bytes = (vec4<u32>(word) * vec4<u32>(0x1000000u, 0x10000u, 0x100u, 1u)) & vec4<u32>(0xff000000u);
  return vec4<f32>(bitcast<vec4<i32>>(bytes)) * 0x1p-24;
}
#else
fn unpackInput(word: u32) -> Input {
  return unpack4xI8(word);
}
#endif

fn unpackWeights(words: vec4<u32>) -> Weights {
  return Weights(unpackInput(words.x), unpackInput(words.y), unpackInput(words.z), unpackInput(words.w));
}

fn multiplyAdd(acc: Acc, x: Input, w: Weights) -> Acc {
  return acc + Acc(dot(x, w[0]), dot(x, w[1]), dot(x, w[2]), dot(x, w[3]));
}

fn sumOf(word: u32) -> i32 {
  return dot(unpack4xI8(word), vec4<i32>(1));
}
#endif
`;
