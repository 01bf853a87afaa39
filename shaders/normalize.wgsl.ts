import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';

export interface NormalizeShape {
  readonly batch: number;
  /** Of an image. */
  readonly pixels: number;
  readonly channels: number;
  /** Groups of all pixels of an image; else of one pixel, and all of its channels. */
  readonly isSpatial: boolean;
  readonly groupChannels: number;
  readonly isCentred: boolean;
  readonly offset: number;
  readonly epsilon: number;
  readonly varianceBits: number;
  readonly droppedBits: number;
  readonly rootBits: number;
  readonly shift: number;
  readonly zeroPoint: number;
  readonly lo: number;
  readonly hi: number;
  /** Invocations that share a sum: 1, or a power of two that divides the workgroup. */
  readonly lanes: number;
}

/** One dispatch for groups of a pixel; three for those of an image. */
export type NormalizeStage = 'pixels' | 'sums' | 'roots' | 'values';

/**
 * Layer, instance and group normalization, in integers: the formula of NormalizeOperation (src/program/program.ts).
 *
 *   x       [BATCH][PIXELS][WORDS] u32 of four int8
 *   affine  [WORDS][2] vec4<i32>: scales and biases of a word of channels
 *   sums    [BATCH][WORDS][3] vec4<u32>: Σu, then Σu² in two words, low first
 *   roots   [BATCH][groups] vec4<i32>: Σu, r, and by how many bits a difference is shifted to the left
 *   y       [BATCH][PIXELS][WORDS]
 *
 * `pixels`: LANES invocations share a pixel, add up, find the root, and write every LANES-th word. For groups of an image, `sums`: LANES
 * invocations share a word of channels; `roots`: an invocation a group; `values`: an invocation a word. Workgroup memory: with several
 * lanes, two vectors an invocation. WGSL has no 64-bit integers: V, below 2⁶², is two words. A lane's squares stay below 2³².
 */
export const normalizeWgsl = (stage: NormalizeStage, shape: NormalizeShape, grid: Grid) => {
  const { channels, groupChannels, isSpatial, lanes, shift } = shape;
  const findsRoots = stage === 'pixels' || stage === 'roots';
  const writes = stage === 'pixels' || stage === 'values';
  const addsUp = stage === 'pixels' || stage === 'sums';
  const isShared = addsUp && lanes > 1;
  const bits = shape.varianceBits;
  return wgsl`
const BATCH = ${shape.batch}u;
const PIXELS = ${shape.pixels}u;
const CHANNELS = ${channels}u;
const WORDS = ${Math.ceil(channels / 4)}u;
const GROUP_CHANNELS = ${groupChannels}u;
const GROUPS = ${channels / groupChannels}u;
const COUNT = ${groupChannels * (isSpatial ? shape.pixels : 1)};
#if ${stage === 'pixels'}
@group(0) @binding(0) var<storage, read> x: array<u32, BATCH * PIXELS * WORDS>;
@group(0) @binding(1) var<storage, read> affine: array<vec4<i32>, WORDS * 2u>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, BATCH * PIXELS * WORDS>;
#elif ${stage === 'sums'}
@group(0) @binding(0) var<storage, read> x: array<u32, BATCH * PIXELS * WORDS>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<u32>, BATCH * WORDS * 3u>;
#elif ${stage === 'roots'}
@group(0) @binding(0) var<storage, read> sums: array<vec4<u32>, BATCH * WORDS * 3u>;
@group(0) @binding(1) var<storage, read_write> roots: array<vec4<i32>, BATCH * GROUPS>;
#else
@group(0) @binding(0) var<storage, read> x: array<u32, BATCH * PIXELS * WORDS>;
@group(0) @binding(1) var<storage, read> affine: array<vec4<i32>, WORDS * 2u>;
@group(0) @binding(2) var<storage, read> roots: array<vec4<i32>, BATCH * GROUPS>;
@group(0) @binding(3) var<storage, read_write> y: array<u32, BATCH * PIXELS * WORDS>;
#endif
${gridWgsl(grid)}
// Which lanes of a word are channels.
fn channelsOf(word: u32) -> vec4<bool> {
  return vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(CHANNELS);
}

#if ${findsRoots}
// 64 bits, the low word first.
fn addWide(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let low = a.x + b.x;
  return vec2<u32>(low, a.y + b.y + u32(low < b.x));
}

fn multiplyWide(a: u32, b: u32) -> vec2<u32> {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let first = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let second = (a & 0xffffu) * (b >> 16u) + (first & 0xffffu);
  return vec2<u32>((second << 16u) | (low & 0xffffu), (a >> 16u) * (b >> 16u) + (first >> 16u) + (second >> 16u));
}

// Σu, r, and the shift of differences.
fn rootOf(sum: i32, squares: vec2<u32>) -> vec4<i32> {
  let scaled = multiplyWide(u32(COUNT), squares.x) + vec2<u32>(0u, u32(COUNT) * squares.y);
  let magnitude = u32(abs(sum));
  let square = multiplyWide(magnitude, magnitude);
  let spread = vec2<u32>(scaled.x - square.x, scaled.y - square.y - u32(scaled.x < square.x));
#if ${bits === 0}
  let shifted = spread;
#elif ${bits < 32}
  let shifted = vec2<u32>(spread.x << ${bits}u, (spread.y << ${bits}u) | (spread.x >> ${32 - bits}u));
#else
  let shifted = vec2<u32>(0u, spread.x << ${bits - 32}u);
#endif
  var variance = addWide(shifted, vec2<u32>(${shape.epsilon % 2 ** 32}u, ${Math.floor(shape.epsilon / 2 ** 32)}u));
  if (all(variance == vec2<u32>())) {
    variance.x = 1u;
  }
  let length = select(32 - i32(countLeadingZeros(variance.x)), 64 - i32(countLeadingZeros(variance.y)), variance.y > 0u);
  let halvings = (length - 29) >> 1u;
  // 29 or 30 bits of V, by an even shift.
  var w = variance.x;
  if (halvings < 0) {
    w = variance.x << u32(-2 * halvings);
  } else if (halvings >= 16) {
    w = variance.y >> u32(2 * halvings - 32);
  } else if (halvings > 0) {
    w = (variance.x >> u32(2 * halvings)) | (variance.y << u32(32 - 2 * halvings));
  }
  var r = 0u;
  for (var bit = 32768u; bit > 0u; bit /= 2u) {
    let more = r + bit;
    if (multiplyWide(more * (more - 1u), w).y < (1u << 28u)) {
      r = more;
    }
  }
  return vec4<i32>(sum, i32(r), ${shape.rootBits} - halvings, 0);
}
#endif

#if ${writes}
fn normalized(x: vec4<i32>, word: u32, sum: vec4<i32>, r: vec4<i32>, left: vec4<u32>) -> u32 {
  let difference = (x - ${shape.offset}) * COUNT - sum;
  let d = (difference >> vec4<u32>(${shape.droppedBits}u)) << left;
  let low = bitcast<vec4<u32>>(d & vec4<i32>(0xffff)) * bitcast<vec4<u32>>(r) + 16384u;
  let t = (d >> vec4<u32>(16u)) * (r * 2) + bitcast<vec4<i32>>(low >> vec4<u32>(15u));
  let gamma = affine[word * 2u];
  let product = (t >> vec4<u32>(16u)) * gamma + (((t & vec4<i32>(0xffff)) * gamma + 32768) >> vec4<u32>(16u));
  let steps = product + affine[word * 2u + 1u];
  // Ties to even: a half less one, and one more where the integer below is odd.
  let odd = (steps >> vec4<u32>(${shift}u)) & vec4<i32>(1);
  let rounded = (steps + ${2 ** (shift - 1) - 1} + odd) >> vec4<u32>(${shift}u);
  let values = clamp(rounded + ${shape.zeroPoint}, vec4<i32>(${shape.lo}), vec4<i32>(${shape.hi}));
  return pack4xI8(select(vec4<i32>(${shape.zeroPoint}), values, channelsOf(word)));
}
#endif
#if ${isShared}
var<workgroup> shared_sums: array<vec4<i32>, WORKGROUP_SIZE>;
var<workgroup> shared_squares: array<vec4<u32>, WORKGROUP_SIZE>;
#endif

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
#if ${isShared}
  const LANES = ${lanes}u;
  let lane = index % LANES;
  // Those beyond the last take part in the barriers.
  let place = min(index, INVOCATIONS - 1u) / LANES;
#else
  if (index >= INVOCATIONS) {
    return;
  }
  const LANES = 1u;
  const lane = 0u;
  let place = index;
#endif
#if ${addsUp}
  var sum = vec4<i32>();
  var squares = vec4<u32>();
#if ${stage === 'pixels'}
  let start = place * WORDS;
  for (var word = lane; word < WORDS; word += LANES) {
    let u = select(vec4<i32>(), unpack4xI8(x[start + word]) - ${shape.offset}, channelsOf(word));
    sum += u;
    squares += bitcast<vec4<u32>>(u * u);
  }
#else
  let start = place / WORDS * (PIXELS * WORDS) + place % WORDS;
  for (var pixel = lane; pixel < PIXELS; pixel += LANES) {
    let u = unpack4xI8(x[start + pixel * WORDS]);
    sum += u;
    squares += bitcast<vec4<u32>>(u * u);
  }
#endif
  // Halves of words, so that sums of all lanes fit.
  var low = squares & vec4<u32>(0xffffu);
  var high = squares >> vec4<u32>(16u);
#if ${isShared}
  shared_sums[local] = sum;
  shared_squares[local] = squares;
  for (var step = 1u; step < LANES; step++) {
    workgroupBarrier();
    let other = local - lane + (lane + step) % LANES;
    sum += shared_sums[other];
    low += shared_squares[other] & vec4<u32>(0xffffu);
    high += shared_squares[other] >> vec4<u32>(16u);
  }
#endif
#endif
#if ${stage === 'pixels'}
#if ${isShared}
  if (index >= INVOCATIONS) {
    return;
  }
#endif
  let lows = low.x + low.y + low.z + low.w;
  let highs = high.x + high.y + high.z + high.w;
  let total = ${shape.isCentred ? 'sum.x + sum.y + sum.z + sum.w' : '0'};
  let root = rootOf(total, addWide(vec2<u32>(lows, 0u), vec2<u32>(highs << 16u, highs >> 16u)));
  for (var word = lane; word < WORDS; word += LANES) {
    y[start + word] = normalized(unpack4xI8(x[start + word]), word, root.xxxx, root.yyyy, vec4<u32>(u32(root.z)));
  }
#elif ${stage === 'sums'}
#if ${isShared}
  if (lane > 0u || index >= INVOCATIONS) {
    return;
  }
#endif
  let shifted = high << vec4<u32>(16u);
  let words = low + shifted;
  sums[place * 3u] = bitcast<vec4<u32>>(sum);
  sums[place * 3u + 1u] = words;
  sums[place * 3u + 2u] = (high >> vec4<u32>(16u)) + select(vec4<u32>(), vec4<u32>(1u), words < shifted);
#elif ${stage === 'roots'}
  let image = place / GROUPS;
  let first = place % GROUPS * GROUP_CHANNELS;
  var sum = 0;
  var squares = vec2<u32>();
  for (var c = first; c < first + GROUP_CHANNELS; c++) {
    let at = (image * WORDS + c / 4u) * 3u;
    sum += i32(sums[at][c % 4u]);
    squares = addWide(squares, vec2<u32>(sums[at + 1u][c % 4u], sums[at + 2u][c % 4u]));
  }
  roots[place] = rootOf(sum, squares);
#else
  let word = place % WORDS;
  let image = place / (PIXELS * WORDS);
  let channel = min(vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(CHANNELS - 1u));
  let group = channel / GROUP_CHANNELS + image * GROUPS;
  let a = roots[group.x];
  let b = roots[group.y];
  let c = roots[group.z];
  let d = roots[group.w];
  let left = vec4<u32>(u32(a.z), u32(b.z), u32(c.z), u32(d.z));
  let sum = vec4<i32>(a.x, b.x, c.x, d.x);
  y[place] = normalized(unpack4xI8(x[place]), word, sum, vec4<i32>(a.y, b.y, c.y, d.y), left);
#endif
}
`;
};
