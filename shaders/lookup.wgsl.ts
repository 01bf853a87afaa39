import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';

export interface Lookup {
  /** Words of the whole batch. */
  readonly words: number;
  readonly channels: number;
  readonly zeroPoint: number;
  /** Whether each channel has a table of its own. */
  readonly ofChannels: boolean;
}

/**
 * Any function of one int8: y = table[x + 128], the same for all channels or one for each.
 *
 *   x, y   [pixels][PIXEL_WORDS] u32 of four int8
 *   table  [256] int8, or [PIXEL_WORDS · 4][256], in u32 words; tables of padded channels hold the zero point
 *
 * One invocation maps one word. Workgroup memory: none.
 */
export const lookupWgsl = ({ words, channels, zeroPoint, ofChannels }: Lookup, grid: Grid) => wgsl`
const PIXEL_WORDS = ${Math.ceil(channels / 4)}u;
@group(0) @binding(0) var<storage, read> x: array<u32, ${words}>;
@group(0) @binding(1) var<storage, read> table: array<u32, ${ofChannels ? Math.ceil(channels / 4) * 256 : 64}>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, ${words}>;
${gridWgsl(grid)}
${storeWgsl(channels, zeroPoint)}

// The entry of a table that begins with word 'first'.
fn entry(first: u32, value: i32) -> i32 {
  let at = u32(value + 128);
  return extractBits(bitcast<i32>(table[first + at / 4u]), at % 4u * 8u, 8u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let values = unpack4xI8(x[index]);
#if ${ofChannels}
  let first = index % PIXEL_WORDS * 256u;
  let mapped = vec4<i32>(
    entry(first, values.x),
    entry(first + 64u, values.y),
    entry(first + 128u, values.z),
    entry(first + 192u, values.w),
  );
#else
  let mapped = vec4<i32>(entry(0u, values.x), entry(0u, values.y), entry(0u, values.z), entry(0u, values.w));
#endif
  store(index, mapped);
}
`;
