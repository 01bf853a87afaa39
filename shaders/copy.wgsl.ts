import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/** Invocations of a workgroup. */
export const COPY_WORKGROUP = 64;

/**
 * Copies a buffer, to measure what memory gives: every byte is read and written once.
 *
 *   x  [count] vec4<u32>
 *   y  [count] vec4<u32>
 *
 * An invocation copies every `WORKGROUPS · 64`-th vector, so that neighbours copy neighbours. Registers: 4. Workgroup memory: none.
 */
export const copyWgsl = (count: number, workgroups: number) => wgsl`
const COUNT = ${count}u;
const STRIDE = ${workgroups * COPY_WORKGROUP}u;
@group(0) @binding(0) var<storage, read> x: array<vec4<u32>, ${count}>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>, ${count}>;

@compute @workgroup_size(${COPY_WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  for (var i = id.x; i < COUNT; i += STRIDE) {
    y[i] = x[i];
  }
}
`;
