import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/** Invocations of a workgroup. */
export const PACKED_DOT_TEST_WORKGROUP = 64;

/**
 * What the device makes of dot4I8Packed, for the host to compare with the truth.
 *
 *   pairs  [COUNT] two u32 of four int8 each; read from memory, so that no compiler can work them out beforehand
 *   sums   [COUNT] i32, 1000 more than the product: a driver that adds an accumulator in the same instruction must not saturate it
 *
 * One invocation makes one product. COUNT is a multiple of the workgroup's size.
 */
export const packedDotTestWgsl = (count: number) => wgsl`
const COUNT = ${count}u;
@group(0) @binding(0) var<storage, read> pairs: array<vec2<u32>, COUNT>;
@group(0) @binding(1) var<storage, read_write> sums: array<i32, COUNT>;

@compute @workgroup_size(${PACKED_DOT_TEST_WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let index = min(id.x, COUNT - 1u);
  sums[index] = 1000 + dot4I8Packed(pairs[index].x, pairs[index].y);
}
`;
