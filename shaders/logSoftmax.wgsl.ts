import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';

export interface LogSoftmaxShape {
  /** Of the whole batch. */
  readonly pixels: number;
  readonly channels: number;
  /** log₂ of the largest exponential. */
  readonly bits: number;
  /** Fraction bits of the tables, 1…18. */
  readonly shift: number;
  readonly zeroPoint: number;
  readonly lo: number;
  readonly hi: number;
}

/**
 * Logarithm of the softmax over the channels of each pixel, in integers: `clamp(z − rne((steps[d] + L(Σe)) · 2^−shift))`.
 *
 *   x             [PIXELS][WORDS] u32 of four int8
 *   exponentials  [256] u32, by the largest value of a pixel less each
 *   steps         [256] i32, likewise
 *   logarithms    [257] i32 of 1 + i/256
 *   y             [PIXELS][WORDS]
 *
 * An invocation takes a pixel. Σe ≤ 2³¹; its logarithm is interpolated between two entries by 16 bits. All sums are below 2²⁸.
 */
export const logSoftmaxWgsl = (shape: LogSoftmaxShape, grid: Grid) => wgsl`
const PIXELS = ${shape.pixels}u;
const CHANNELS = ${shape.channels}u;
const WORDS = ${Math.ceil(shape.channels / 4)}u;
const BITS = ${shape.bits};
const SHIFT = ${shape.shift}u;
@group(0) @binding(0) var<storage, read> x: array<u32, PIXELS * WORDS>;
@group(0) @binding(1) var<storage, read> exponentials: array<u32, 256>;
@group(0) @binding(2) var<storage, read> steps: array<i32, 256>;
@group(0) @binding(3) var<storage, read> logarithms: array<i32, 257>;
@group(0) @binding(4) var<storage, read_write> y: array<u32, PIXELS * WORDS>;
${gridWgsl(grid)}
// Which lanes of a word are channels.
fn channelsOf(word: u32) -> vec4<bool> {
  return vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(CHANNELS);
}

fn logarithmOf(total: u32) -> i32 {
  let zeros = countLeadingZeros(total);
  let normalized = total << zeros;
  let i = (normalized >> 23u) & 255u;
  let f = i32((normalized >> 7u) & 0xffffu);
  let low = logarithms[i];
  return (31 - i32(zeros) - BITS) * logarithms[256] + low + (((logarithms[i + 1u] - low) * f) >> 16u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let pixel = invocationIndex(workgroup, local);
  if (pixel >= INVOCATIONS) {
    return;
  }
  let start = pixel * WORDS;
  var most = vec4<i32>(-128);
  for (var word = 0u; word < WORDS; word++) {
    most = max(most, select(vec4<i32>(-128), unpack4xI8(x[start + word]), channelsOf(word)));
  }
  let largest = max(max(most.x, most.y), max(most.z, most.w));

  var sums = vec4<u32>();
  for (var word = 0u; word < WORDS; word++) {
    // In padded lanes a difference may be negative.
    let d = vec4<u32>(max(vec4<i32>(largest) - unpack4xI8(x[start + word]), vec4<i32>()));
    let e = vec4<u32>(exponentials[d.x], exponentials[d.y], exponentials[d.z], exponentials[d.w]);
    sums += select(vec4<u32>(), e, channelsOf(word));
  }
  let logarithm = logarithmOf(sums.x + sums.y + sums.z + sums.w);

  const HALF = 1 << (SHIFT - 1u);
  for (var word = 0u; word < WORDS; word++) {
    let d = vec4<u32>(max(vec4<i32>(largest) - unpack4xI8(x[start + word]), vec4<i32>()));
    let sum = vec4<i32>(steps[d.x], steps[d.y], steps[d.z], steps[d.w]) + logarithm;
    // Ties to even: a half less one, and one more where the integer below is odd.
    let rounded = (sum + (HALF - 1) + ((sum >> vec4<u32>(SHIFT)) & vec4<i32>(1))) >> vec4<u32>(SHIFT);
    let values = clamp(${shape.zeroPoint} - rounded, vec4<i32>(${shape.lo}), vec4<i32>(${shape.hi}));
    y[start + word] = pack4xI8(select(vec4<i32>(${shape.zeroPoint}), values, channelsOf(word)));
  }
}
`;
