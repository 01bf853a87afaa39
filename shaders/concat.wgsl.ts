import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { type RescaleConstants, rescaleWgsl } from './rescale.wgsl.ts';
import { unroll } from './unroll.ts';

export interface ConcatPart {
  /** Channels of this input, and the output channel at which they start. */
  readonly channels: number;
  readonly firstChannel: number;
  readonly rescale: RescaleConstants;
}

export interface Concat {
  /** Pixels of the whole batch. */
  readonly pixels: number;
  readonly channels: number;
  /** What padded lanes hold. */
  readonly zeroPoint: number;
  /** Inputs that this dispatch binds: consecutive ones, as many as the device has bindings for. */
  readonly parts: readonly ConcatPart[];
  /** First word of a pixel that this dispatch writes, and how many: words in which one of its parts has a channel. */
  readonly firstWord: number;
  readonly words: number;
}

/**
 * Channels of several tensors one after the other, each rescaled to the output's scale. Inputs need not be whole words, so each lane
 * of an output word finds its own channel.
 *
 *   x0…       [PIXELS][words of the part] u32 of four int8
 *   y         [PIXELS][OUT_WORDS] u32
 *
 * One invocation writes one word. Workgroup memory: none.
 */
export const concatWgsl = (concat: Concat, grid: Grid) => {
  const { pixels, channels, zeroPoint, parts, firstWord, words } = concat;
  const partWords = parts.map((part) => Math.ceil(part.channels / 4));
  return wgsl`
const PIXELS = ${pixels}u;
const OUT_WORDS = ${Math.ceil(channels / 4)}u;
${unroll(parts.length, (i) => `@group(0) @binding(${i}) var<storage, read> x${i}: array<u32, PIXELS * ${partWords[i]}u>;`)}
@group(0) @binding(${parts.length}) var<storage, read_write> y: array<u32, PIXELS * OUT_WORDS>;
${gridWgsl(grid)}
${rescaleWgsl}

// The value of one output channel, or the zero point in a padded lane.
fn valueOf(pixel: u32, channel: u32) -> i32 {
  var value = ${zeroPoint};
${unroll(parts.length, (i) => {
  const { firstChannel, channels: count, rescale: r } = parts[i];
  return `  if (channel >= ${firstChannel}u && channel < ${firstChannel + count}u) {
    let c = channel - ${firstChannel}u;
    let q = extractBits(bitcast<i32>(x${i}[pixel * ${partWords[i]}u + c / 4u]), c % 4u * 8u, 8u);
    value = rescaleSum(vec4<i32>((q - ${r.inputZeroPoints[0]}) * ${r.multipliers[0]}), ${r.shift}u, ${r.zeroPoint}, ${r.lo}, ${r.hi}).x;
  }`;
})}
  return value;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let pixel = index / ${words}u;
  let word = index % ${words}u + ${firstWord}u;
  y[pixel * OUT_WORDS + word] = pack4xI8(vec4<i32>(
${unroll(4, (lane) => `    valueOf(pixel, word * 4u + ${lane}u)${lane < 3 ? ',' : ''}`)}
  ));
}
`;
};
