import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { type Pool2dShape, pool2dWgsl } from './pool2d.wgsl.ts';

/**
 * Largest value of each window, on the integers as they are. Padding takes no part; a window without any tap inside gives −128.
 *
 *   x  [batch][HEIGHT][WIDTH][WORDS] u32 of four int8
 *   y  [batch][OUT_HEIGHT][OUT_WIDTH][WORDS]
 *
 * One invocation pools one word. Workgroup memory: none.
 */
export const maxPool2dWgsl = (shape: Pool2dShape, grid: Grid) => wgsl`
${pool2dWgsl(shape)}
${gridWgsl(grid)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let start = windowStart(index);
  let word = index % WORDS;
  var largest = vec4<i32>(-128);
  for (var ky = 0; ky < ${shape.kernel[0]}; ky++) {
    for (var kx = 0; kx < ${shape.kernel[1]}; kx++) {
      let row = start.y + ky * ${shape.dilation[0]};
      let column = start.z + kx * ${shape.dilation[1]};
      let value = inputWord(start.x, row, column, word);
      largest = max(largest, select(vec4<i32>(-128), value, isInside(row, column)));
    }
  }
  store(index, largest);
}
`;
