import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';

/**
 * One image of constants, repeated for the batch.
 *
 *   values  [imageWords] u32 of four int8
 *   y       [words], the whole batch
 *
 * One invocation copies one word. Workgroup memory: none.
 */
export const constantWgsl = (
  { words, imageWords }: { readonly words: number; readonly imageWords: number },
  grid: Grid,
) => wgsl`
@group(0) @binding(0) var<storage, read> values: array<u32, ${imageWords}>;
@group(0) @binding(1) var<storage, read_write> y: array<u32, ${words}>;
${gridWgsl(grid)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  y[index] = values[index % ${imageWords}u];
}
`;
