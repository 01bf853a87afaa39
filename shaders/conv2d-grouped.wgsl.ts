import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { conv2dEpilogueWgsl, paddingWgsl } from './conv2d-epilogue.wgsl.ts';
import { type Conv2dShape, conv2dShapeWgsl } from './conv2d-shape.wgsl.ts';
import type { MatrixWeightsWgsl } from './conv2d-weights.ts';
import { conv2dWindowWgsl, poolOf, windowOffset } from './conv2d-window.wgsl.ts';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { unroll } from './unroll.ts';

/**
 * Grouped convolution for groups that are no whole words (three channels a group, depthwise with a multiplier, …): takes its inputs
 * byte by byte. Right for every shape, and meant only for those that no other kernel takes.
 *
 *   x        [BATCH][HEIGHT][WIDTH][IN_WORDS] u32
 *   weights  [KERNEL_H · KERNEL_W · GROUP_IN][OUT_WORDS] vec4<i32>: w − z_w for four output channels, unpacked by the host
 *   epilogue, y, residual: conv2d-epilogue.wgsl.ts
 *
 * One invocation computes one word of output channels of one pixel; its four channels may belong to different groups.
 * Registers: one accumulator vector (four if pooled). Workgroup memory: none. |acc| < 2³¹ is proved at load.
 */
export const conv2dGroupedWgsl = (shape: Conv2dShape, grid: Grid, weights: MatrixWeightsWgsl) => {
  const window = shape.pool ? 4 : 1;
  return wgsl`
${conv2dShapeWgsl(shape)}
const GROUP_OUT = ${shape.outChannels / shape.groups}u;
const LAST_CHANNEL = ${shape.groups * shape.groupInChannels - 1}u;
${weights.declaration}
${conv2dWindowWgsl(shape)}
${conv2dEpilogueWgsl({ ...shape, weightZeroPoint: false })}
${gridWgsl(grid)}

fn channelOf(start: i32, channel: u32, padding: u32) -> i32 {
  // Lanes beyond the last group are padding of the output: any channel will do, their weights are 0.
  let inside = min(channel, LAST_CHANNEL);
  return extractBits(bitcast<i32>(inputWord(start, inside / 4u, padding)), inside % 4u * 8u, 8u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let word = index % OUT_WORDS;
  let pixel = index / OUT_WORDS;
  let start = windowStart(pixel);
  let padding = ${paddingWgsl()};
  let first = (vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u)) / GROUP_OUT * GROUP_IN;
${unroll(window, (t) => `  var acc${t} = vec4<i32>();`)}

  for (var ky = 0u; ky < KERNEL_H; ky++) {
    for (var kx = 0u; kx < KERNEL_W; kx++) {
      let row = i32(ky) * DILATION_H;
      let column = i32(kx) * DILATION_W;
${unroll(window, (t) => `      let from${t} = inputStart(start, ${windowOffset(shape, t)});`)}
      for (var i = 0u; i < GROUP_IN; i++) {
        let w = ${weights.load('((ky * KERNEL_W + kx) * GROUP_IN + i)', 'word')};
${unroll(
  window,
  (t) => `        acc${t} += w * vec4<i32>(
          channelOf(from${t}, first.x + i, padding), channelOf(from${t}, first.y + i, padding),
          channelOf(from${t}, first.z + i, padding), channelOf(from${t}, first.w + i, padding));`,
)}
      }
    }
  }

  store(pixel, channelsOf(word), ${poolOf(Array.from({ length: window }, (_, t) => `acc${t}`))});
}
`;
};
