import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';

export interface Lookup {
  /** Words of the whole batch. */
  readonly words: number;
  /** Words of a pixel, and its channels: what is beyond them is padding. */
  readonly pixelWords: number;
  readonly channels: number;
  readonly zeroPoint: number;
}

/**
 * Any function of one int8: y = table[x + 128].
 *
 *   x, y   [pixels][PIXEL_WORDS] u32 of four int8
 *   table  [256] int8, in u32 words
 *
 * One invocation maps one word. Workgroup memory: none.
 */
export const lookupWgsl = ({ words, pixelWords, channels, zeroPoint }: Lookup, grid: Grid) => wgsl`
const PIXEL_WORDS = ${pixelWords}u;
const CHANNELS = ${channels}u;
@group(0) @binding(0) var<storage, read> x: array<u32, ${words}>;
@group(0) @binding(1) var<storage, read> table: array<u32, 64>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, ${words}>;
${gridWgsl(grid)}

fn entry(value: i32) -> i32 {
  let at = u32(value + 128);
  return extractBits(bitcast<i32>(table[at / 4u]), at % 4u * 8u, 8u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let values = unpack4xI8(x[index]);
  let mapped = vec4<i32>(entry(values.x), entry(values.y), entry(values.z), entry(values.w));
#if ${channels % 4 === 0}
  y[index] = pack4xI8(mapped);
#else
  // The zero point of padded lanes maps to the function of 0, which need not be 0.
  let lanes = vec4<u32>(index % PIXEL_WORDS * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(${zeroPoint}), mapped, lanes < vec4<u32>(CHANNELS)));
#endif
}
`;
