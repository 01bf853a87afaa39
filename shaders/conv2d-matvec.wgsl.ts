import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { arithmeticWgsl } from './arithmetic.wgsl.ts';
import { conv2dEpilogueWgsl } from './conv2d-epilogue.wgsl.ts';
import { conv2dLayerWgsl } from './conv2d-layer.wgsl.ts';
import type { Conv2dShape } from './conv2d-shape.wgsl.ts';
import type { BlockedWeightsWgsl } from './conv2d-weights.ts';
import { SWAPS, swapped } from './quad-swap.ts';
import { unroll } from './unroll.ts';

export interface Conv2dMatvecTile {
  readonly arithmetic: 'dot4I8Packed' | 'f32';
  /** Output words (four channels) of a quad; divides the layer's. */
  readonly words: number;
  /** Input words of a step; divides the layer's. */
  readonly kWords: number;
  /** Output pixels of the layer, over the whole batch. */
  readonly pixels: number;
  readonly workgroupSize: number;
}

/** What the kernel's text depends on; the rest is data of the layer. */
export type Conv2dMatvecShape = Pick<Conv2dShape, 'residual' | 'int32' | 'outChannels'>;

/**
 * A dense layer at small batch for software adapters: each weight is used once a picture, so loading is all that counts. Every lane of a
 * quad has a channel of its own, and what it loads lies beside what the other three load.
 *
 *   x         [PIXELS][IN_WORDS] u32 of four int8, the layer flattened to one row (1×1 kernel)
 *   weights   [OUT_WORDS / WORDS][IN_WORDS][WORDS][4] u32: a word of four input channels for each output channel, in the order in which
 *             a quad reads them
 *   layer     conv2d-layer.wgsl.ts; a step is one word of input channels
 *   epilogue, y, residual: conv2d-epilogue.wgsl.ts
 *
 * A quad computes all pixels × 4·WORDS channels, K_WORDS input words at a time, of which each lane loads one and gets the others from its
 * neighbours: the lane's s-th word is word (lane ^ s) of them. At the end the lanes bring their channels together.
 *
 * Registers: PIXELS · WORDS accumulators. Workgroup memory: none.
 * Preconditions: quads are four consecutive invocations of a workgroup. |acc| < 2³¹ is proved at load.
 */
export const conv2dMatvecWgsl = (
  shape: Conv2dMatvecShape,
  tile: Conv2dMatvecTile,
  weights: BlockedWeightsWgsl,
) => {
  const { arithmetic, words, kWords, pixels } = tile;
  const multiply = arithmetic === 'f32' ? 'dot' : 'dot4I8Packed';
  const scalar = arithmetic === 'f32' ? 'f32' : 'i32';
  const swaps = SWAPS.slice(0, kWords);
  const terms = (p: number, j: number) =>
    swaps.map((swap, s) => `${multiply}(x${p}${swap}, w${j}_${s})`).join(' + ');
  return wgsl`
enable subgroups;

// ${arithmetic}, ${pixels} pixels × ${4 * words} channels a quad.
const WORKGROUP_SIZE = ${tile.workgroupSize}u;
const OUT_PIXELS = ${pixels}u;
const WORDS = ${words}u;
@group(0) @binding(0) var<storage, read> x: array<u32>;
${weights.declaration}
${conv2dEpilogueWgsl({ ...shape, weightZeroPoint: false }, 'layer')}
${conv2dLayerWgsl(shape.residual ? 5 : 4)}
${arithmeticWgsl(arithmetic)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  // Quads beyond the last repeat it: shuffles want every lane.
  let lane = local % 4u;
  let index = min(invocationIndex(workgroup, local), layer.invocations - 4u + lane);
  let inWords = layer.inWords;
  let block = index / 4u;
  let firstWord = block * WORDS;
  let loaded = lane % ${kWords}u;
${unroll(kWords, (s) => `  let row${s} = block * inWords + (loaded ^ ${s}u);`)}
${unroll(pixels, (p) => unroll(words, (j) => `  var total${p}_${j} = 0i;`))}
  for (var first = 0u; first < inWords; first += layer.flushSteps) {
    let end = min(first + layer.flushSteps, inWords);
${unroll(pixels, (p) => unroll(words, (j) => `  var acc${p}_${j} = ${scalar}();`))}
  for (var word = first; word < end; word += ${kWords}u) {
${unroll(kWords, (s) => `    ${weights.begin(`weights${s}`, `row${s} + word`)}`)}
${unroll(pixels, (p) => `    let packed${p} = x[${p}u * inWords + word + loaded];`)}
${unroll(kWords, (s) => unroll(words, (j) => `    let packedW${j}_${s} = ${weights.load(`weights${s}`, j)};`))}
${unroll(
  pixels,
  (p) => `    let x${p} = unpackInput(packed${p});
${swapped(`x${p}`, kWords)}`,
)}
${unroll(
  words,
  (j) => `${unroll(kWords, (k) => `    let w${j}_${k} = unpackInput(packedW${j}_${k});`)}
${unroll(pixels, (p) => `    acc${p}_${j} += ${terms(p, j)};`)}`,
)}
  }
${unroll(pixels, (p) => unroll(words, (j) => `  total${p}_${j} += i32(acc${p}_${j});`))}
  }

  var results = array<i32, OUT_PIXELS * WORDS>(
${unroll(pixels, (p) => unroll(words, (j) => `    total${p}_${j},`))}
  );
  for (var j = 0u; j < WORDS; j++) {
    let channels = channelsOf(firstWord + j);
    for (var p = 0u; p < OUT_PIXELS; p++) {
      let own = results[p * WORDS + j];
      let acc = vec4<i32>(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u));
      if (lane == j % 4u) {
        store(p, channels, acc);
      }
    }
  }
}
`;
};
