import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { conv2dEpilogueWgsl, paddingWgsl } from './conv2d-epilogue.wgsl.ts';
import { type Conv2dShape, conv2dShapeWgsl } from './conv2d-shape.wgsl.ts';
import type { MatrixWeightsWgsl } from './conv2d-weights.ts';
import { conv2dWindowWgsl, poolOf, windowOffset } from './conv2d-window.wgsl.ts';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { unroll } from './unroll.ts';

/**
 * Depthwise convolution: every channel has its own kernel, so there is no dot product over channels to pack. Four channels go side
 * by side as a vec4<i32>.
 *
 *   x        [BATCH][HEIGHT][WIDTH][IN_WORDS] u32
 *   weights  [KERNEL_H · KERNEL_W][OUT_WORDS] vec4<i32>: w − z_w of four channels, unpacked by the host
 *   epilogue, y, residual: conv2d-epilogue.wgsl.ts
 *
 * One invocation computes PIXELS outputs (neighbours in a row of the image, usually) of one word of channels; neighbouring invocations
 * take neighbouring words. Each weight is loaded once for all PIXELS.
 * Registers: PIXELS (· 4 if pooled) accumulators. Workgroup memory: none. |acc| ≤ 255 · 128 · KERNEL_H · KERNEL_W + |bias|.
 */
export const conv2dDepthwiseWgsl = (
  shape: Conv2dShape,
  pixels: number,
  grid: Grid,
  weights: MatrixWeightsWgsl,
) => {
  const window = shape.pool ? 4 : 1;
  const accs = (p: number) => Array.from({ length: window }, (_, i) => `acc${p * window + i}`);
  return wgsl`
${conv2dShapeWgsl(shape)}
const PIXELS = ${pixels}u;
${weights.declaration}
${conv2dWindowWgsl(shape)}
${conv2dEpilogueWgsl({ ...shape, weightZeroPoint: false })}
${gridWgsl(grid)}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let word = index % OUT_WORDS;
  let firstPixel = index / OUT_WORDS * PIXELS;
  let padding = ${paddingWgsl()};
${unroll(pixels, (p) => `  let pixel${p} = min(firstPixel + ${p}u, OUT_PIXELS - 1u);\n  let start${p} = windowStart(pixel${p});`)}
${unroll(pixels * window, (t) => `  var acc${t} = vec4<i32>();`)}

  for (var ky = 0; ky < i32(KERNEL_H); ky++) {
    for (var kx = 0; kx < i32(KERNEL_W); kx++) {
      let row = ky * DILATION_H;
      let column = kx * DILATION_W;
      let w = ${weights.load('u32(ky * i32(KERNEL_W) + kx)', 'word')};
${unroll(pixels * window, (t) => `      let from${t} = inputStart(start${Math.floor(t / window)}, ${windowOffset(shape, t % window)});\n      acc${t} += w * unpack4xI8(inputWord(from${t}, word, padding));`)}
    }
  }

  var results = array<vec4<i32>, PIXELS>(
${unroll(pixels, (p) => `    ${poolOf(accs(p))},`)}
  );
  let channels = channelsOf(word);
  for (var p = 0u; p < PIXELS; p++) {
    if (firstPixel + p < OUT_PIXELS) {
      store(firstPixel + p, channels, results[p]);
    }
  }
}
`;
};
