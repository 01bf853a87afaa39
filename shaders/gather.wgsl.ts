import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';

export interface Gather {
  /** Pixels of the whole batch. */
  readonly pixels: number;
  /** Words of a pixel of the input. */
  readonly inWords: number;
  /** Channels of the output. */
  readonly channels: number;
  readonly zeroPoint: number;
}

/**
 * Channels of one tensor in any order: y[…, c] = x[…, source[c]].
 *
 *   x       [PIXELS][IN_WORDS] u32 of four int8
 *   source  [WORDS] vec4<u32>, a channel of x for each lane of a word of y; padded lanes: any
 *   y       [PIXELS][WORDS] u32
 *
 * One invocation writes one word. Workgroup memory: none.
 */
export const gatherWgsl = ({ pixels, inWords, channels, zeroPoint }: Gather, grid: Grid) => wgsl`
const PIXELS = ${pixels}u;
const IN_WORDS = ${inWords}u;
const WORDS = ${Math.ceil(channels / 4)}u;
@group(0) @binding(0) var<storage, read> x: array<u32, PIXELS * IN_WORDS>;
@group(0) @binding(1) var<storage, read> source: array<vec4<u32>, WORDS>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, PIXELS * WORDS>;
${gridWgsl(grid)}
${storeWgsl(channels, zeroPoint)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let first = index / WORDS * IN_WORDS;
  let c = source[index % WORDS];
  let words = vec4<u32>(x[first + c.x / 4u], x[first + c.y / 4u], x[first + c.z / 4u], x[first + c.w / 4u]);
  // The byte to the top, and down again with its sign.
  store(index, bitcast<vec4<i32>>(words << (vec4<u32>(24u) - c % 4u * 8u)) >> vec4<u32>(24u));
}
`;
