import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';

export interface SoftmaxShape {
  /** Of the whole batch. */
  readonly pixels: number;
  readonly channels: number;
  /** The multiplier `mantissa · 2^−shift`, shift at most 25. */
  readonly mantissa: number;
  readonly shift: number;
  readonly zeroPoint: number;
  readonly lo: number;
  readonly hi: number;
  /** Invocations that share a pixel: 1, or a power of two that divides the workgroup. */
  readonly lanes: number;
}

/**
 * Softmax over the channels of each pixel, in integers: `clamp(z + rne(e · mantissa / (2^shift · Σe)))`.
 *
 *   x             [PIXELS][WORDS] u32 of four int8
 *   exponentials  [256] u32, by the largest value of a pixel less each
 *   y             [PIXELS][WORDS]
 *
 * LANES invocations share a pixel, each takes every LANES-th word. Workgroup memory: with several lanes, a word an invocation. Σe ≤ 2³¹: the
 * host scales the exponentials by the number of channels. The quotient is found bit by bit of the mantissa, so that no remainder exceeds 32 bits.
 */
export const softmaxWgsl = (shape: SoftmaxShape, grid: Grid) => {
  const isShared = shape.lanes > 1;
  let { mantissa, shift } = shape;
  // Fewer bits are fewer steps: reciprocals of powers of two have one.
  for (; shift > 0 && mantissa % 2 === 0; shift--) mantissa /= 2;
  return wgsl`
const PIXELS = ${shape.pixels}u;
const CHANNELS = ${shape.channels}u;
const WORDS = ${Math.ceil(shape.channels / 4)}u;
const LANES = ${shape.lanes}u;
const MANTISSA = ${mantissa}u;
const MANTISSA_BITS = ${mantissa.toString(2).length}u;
const SHIFT = ${shift}u;
@group(0) @binding(0) var<storage, read> x: array<u32, PIXELS * WORDS>;
@group(0) @binding(1) var<storage, read> exponentials: array<u32, 256>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, PIXELS * WORDS>;
${gridWgsl(grid)}
// Which lanes of a word are channels.
fn channelsOf(word: u32) -> vec4<bool> {
  return vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(CHANNELS);
}

fn exponentialsOf(differences: vec4<i32>) -> vec4<u32> {
  // In padded lanes a difference may be negative.
  let d = vec4<u32>(max(differences, vec4<i32>()));
  return vec4<u32>(exponentials[d.x], exponentials[d.y], exponentials[d.z], exponentials[d.w]);
}

// e ≤ total ≤ 2³¹, and the remainder stays below total: no step leaves 32 bits.
fn quotient(e: u32, total: u32) -> i32 {
  var whole = 0u;
  var rest = 0u;
  for (var i = 0u; i < MANTISSA_BITS; i++) {
    rest *= 2u;
    whole *= 2u;
    if (rest >= total) {
      rest -= total;
      whole += 1u;
    }
    if (((MANTISSA >> (MANTISSA_BITS - 1u - i)) & 1u) == 1u) {
      rest += e;
      if (rest >= total) {
        rest -= total;
        whole += 1u;
      }
    }
  }
#if ${shift === 0}
  let up = rest > total - rest || (rest == total - rest && (whole & 1u) == 1u);
  return i32(whole + u32(up));
#else
  const HALF = 1u << (SHIFT - 1u);
  let down = whole >> SHIFT;
  let fraction = whole & (2u * HALF - 1u);
  let up = fraction > HALF || (fraction == HALF && (rest > 0u || (down & 1u) == 1u));
  return i32(down + u32(up));
#endif
}
#if ${isShared}
var<workgroup> shared_largest: array<i32, WORKGROUP_SIZE>;
var<workgroup> shared_sum: array<u32, WORKGROUP_SIZE>;
#endif

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
#if ${isShared}
  let lane = index % LANES;
  // Those beyond the last pixel take part in the barriers.
  let pixel = min(index / LANES, PIXELS - 1u);
#else
  if (index >= INVOCATIONS) {
    return;
  }
  const lane = 0u;
  let pixel = index;
#endif
  let start = pixel * WORDS;

  var most = vec4<i32>(-128);
  for (var word = lane; word < WORDS; word += LANES) {
    most = max(most, select(vec4<i32>(-128), unpack4xI8(x[start + word]), channelsOf(word)));
  }
  var largest = max(max(most.x, most.y), max(most.z, most.w));
#if ${isShared}
  shared_largest[local] = largest;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      shared_largest[local] = max(shared_largest[local], shared_largest[local + step]);
    }
  }
  workgroupBarrier();
  largest = shared_largest[local - lane];
#endif

  var sums = vec4<u32>();
  for (var word = lane; word < WORDS; word += LANES) {
    let e = exponentialsOf(vec4<i32>(largest) - unpack4xI8(x[start + word]));
    sums += select(vec4<u32>(), e, channelsOf(word));
  }
  var total = sums.x + sums.y + sums.z + sums.w;
#if ${isShared}
  shared_sum[local] = total;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      shared_sum[local] += shared_sum[local + step];
    }
  }
  workgroupBarrier();
  total = shared_sum[local - lane];
  if (index >= INVOCATIONS) {
    return;
  }
#endif

  for (var word = lane; word < WORDS; word += LANES) {
    let e = exponentialsOf(vec4<i32>(largest) - unpack4xI8(x[start + word]));
    let q = vec4<i32>(quotient(e.x, total), quotient(e.y, total), quotient(e.z, total), quotient(e.w, total));
    let values = clamp(q + ${shape.zeroPoint}, vec4<i32>(${shape.lo}), vec4<i32>(${shape.hi}));
    y[start + word] = pack4xI8(select(vec4<i32>(${shape.zeroPoint}), values, channelsOf(word)));
  }
}
`;
};
