import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';

export interface Lookup {
  /** Words of the whole batch. */
  readonly words: number;
  readonly channels: number;
  readonly zeroPoint: number;
}

/**
 * Any function of one int8: y = table[x + 128].
 *
 *   x, y   [pixels][words of a pixel] u32 of four int8
 *   table  [256] int8, in u32 words
 *
 * One invocation maps one word. Workgroup memory: none.
 */
export const lookupWgsl = ({ words, channels, zeroPoint }: Lookup, grid: Grid) => wgsl`
@group(0) @binding(0) var<storage, read> x: array<u32, ${words}>;
@group(0) @binding(1) var<storage, read> table: array<u32, 64>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, ${words}>;
${gridWgsl(grid)}
${storeWgsl(channels, zeroPoint)}

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
  store(index, mapped);
}
`;
