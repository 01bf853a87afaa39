import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { type Pool2dShape, pool2dWgsl } from './pool2d.wgsl.ts';
import { type RescaleConstants, rescaleWgsl } from './rescale.wgsl.ts';

export interface AveragePool2dShape extends Pool2dShape {
  readonly countIncludePad: boolean;
  readonly rescale: RescaleConstants;
}

/**
 * Mean of each window (global pooling is a window of the whole image): the exact sum of x − zero point, times the multiplier for the
 * number of values averaged, rounded once.
 *
 *   x            [batch][HEIGHT][WIDTH][WORDS] u32 of four int8
 *   y            [batch][OUT_HEIGHT][OUT_WIDTH][WORDS]
 *   multipliers  [kernel height · width] i32, the one for a count at count − 1
 *
 * One invocation averages one word. Workgroup memory: none. |sum · multiplier| < 2³¹ is proved at load.
 */
export const averagePool2dWgsl = (shape: AveragePool2dShape, grid: Grid) => {
  const { kernel, dilation, rescale, countIncludePad } = shape;
  const taps = kernel[0] * kernel[1];
  return wgsl`
${pool2dWgsl(shape)}
@group(0) @binding(2) var<storage, read> multipliers: array<i32, ${taps}>;
${gridWgsl(grid)}
${rescaleWgsl}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let start = windowStart(index);
  let word = index % WORDS;
  var sum = vec4<i32>();
  var count = 0;
  for (var ky = 0; ky < ${kernel[0]}; ky++) {
    for (var kx = 0; kx < ${kernel[1]}; kx++) {
      let row = start.y + ky * ${dilation[0]};
      let column = start.z + kx * ${dilation[1]};
      let value = inputWord(start.x, row, column, word) - ${rescale.inputZeroPoints[0]};
      let inside = isInside(row, column);
      sum += select(vec4<i32>(), value, inside);
      count += i32(inside);
    }
  }
#if ${countIncludePad}
  let multiplier = multipliers[${taps - 1}];
#else
  let multiplier = multipliers[max(count, 1) - 1];
#endif
  store(index, rescaleSum(sum * multiplier, ${rescale.shift}u, ${rescale.zeroPoint}, ${rescale.lo}, ${rescale.hi}));
}
`;
};
