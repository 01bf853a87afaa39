import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { type Pool2dShape, pool2dWgsl } from './pool2d.wgsl.ts';
import { type RescaleConstants, rescaleWgsl } from './rescale.wgsl.ts';

export interface AveragePool2dShape extends Pool2dShape {
  readonly countIncludePad: boolean;
  readonly pads: readonly [top: number, left: number, bottom: number, right: number];
  /** Rows and columns of the padding that never count. */
  readonly overhang: readonly [height: number, width: number];
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
  const { kernel, dilation, pads, overhang, rescale, countIncludePad } = shape;
  const taps = kernel[0] * kernel[1];
  const isPartly = countIncludePad && overhang.some((size) => size > 0);
  const ends = [shape.height + pads[2] - overhang[0], shape.width + pads[3] - overhang[1]];
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
#if ${isPartly}
  let counted = min(vec2<i32>(${kernel[0]}, ${kernel[1]}),
    (vec2<i32>(${ends[0]}, ${ends[1]}) - start.yz + vec2<i32>(${dilation[0] - 1}, ${dilation[1] - 1})) / vec2<i32>(${dilation[0]}, ${dilation[1]}));
  let multiplier = multipliers[counted.x * counted.y - 1];
#elif ${countIncludePad}
  let multiplier = multipliers[${taps - 1}];
#else
  let multiplier = multipliers[max(count, 1) - 1];
#endif
  store(index, rescaleSum(sum * multiplier, ${rescale.shift}u, ${rescale.zeroPoint}, ${rescale.lo}, ${rescale.hi}));
}
`;
};
