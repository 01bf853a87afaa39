import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { requantizeWgsl } from './requantize.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';

export interface ReduceShape {
  readonly batch: number;
  /** Of x and y: height, width, channels. */
  readonly image: readonly [number, number, number];
  readonly outImage: readonly [number, number, number];
  readonly axes: readonly [rows: boolean, columns: boolean, channels: boolean];
  readonly fold: 'sum' | 'sumOfMagnitudes' | 'sumOfSquares' | 'max' | 'min';
  readonly inputZeroPoint: number;
  readonly zeroPoint: number;
  /** Maxima and minima are the output; sums go through the arguments of `requantizerOf`, or 255 thresholds from `lo` on. */
  readonly finish: 'select' | { readonly requantizer: string } | { readonly lo: number };
  /** Invocations that share a word of y: 1, or a power of two that divides the workgroup. */
  readonly lanes: number;
}

/**
 * Sums, maxima or minima over whole stored axes, which y has one element along; exact in int32, rounded once.
 *
 *   x           [batch][HEIGHT][WIDTH][WORDS] u32 of four int8
 *   thresholds  [255] i32, ascending, where a root follows: the result is how many of them the sum has reached
 *   y           [batch][OUT_HEIGHT][OUT_WIDTH][OUT_WORDS]
 *
 * LANES invocations share a word of y, each takes every LANES-th word of x that meets there. Workgroup memory: with several lanes, a vector an
 * invocation. |acc| < 2³¹ is proved at load.
 */
export const reduceWgsl = (shape: ReduceShape, grid: Grid) => {
  const [height, width, channels] = shape.image;
  const [outHeight, outWidth, outChannels] = shape.outImage;
  const [rows, columns, isAcross] = shape.axes;
  const { fold, finish } = shape;
  const isExtreme = fold === 'max' || fold === 'min';
  const isShared = shape.lanes > 1;
  const hasThresholds = typeof finish === 'object' && 'lo' in finish;
  const words = Math.ceil(channels / 4);
  return wgsl`
const HEIGHT = ${height}u;
const WIDTH = ${width}u;
const CHANNELS = ${channels}u;
const WORDS = ${words}u;
const OUT_HEIGHT = ${outHeight}u;
const OUT_WIDTH = ${outWidth}u;
const OUT_WORDS = ${Math.ceil(outChannels / 4)}u;
const COLUMNS = ${columns ? width : 1}u;
const FOLDED_WORDS = ${isAcross ? words : 1}u;
const STEPS = ${rows ? height : 1}u * COLUMNS * FOLDED_WORDS;
const LANES = ${shape.lanes}u;
const START = vec4<i32>(${fold === 'max' ? -128 : fold === 'min' ? 127 : 0});
@group(0) @binding(0) var<storage, read> x: array<u32, ${shape.batch}u * HEIGHT * WIDTH * WORDS>;
#if ${hasThresholds}
@group(0) @binding(1) var<storage, read> thresholds: array<i32, 255>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, ${shape.batch}u * OUT_HEIGHT * OUT_WIDTH * OUT_WORDS>;
#else
@group(0) @binding(1) var<storage, read_write> y: array<u32, ${shape.batch}u * OUT_HEIGHT * OUT_WIDTH * OUT_WORDS>;
#endif
${gridWgsl(grid)}
${storeWgsl(outChannels, shape.zeroPoint)}
fn join(a: vec4<i32>, b: vec4<i32>) -> vec4<i32> {
#if ${fold === 'max'}
  return max(a, b);
#elif ${fold === 'min'}
  return min(a, b);
#else
  return a + b;
#endif
}

fn termOf(value: vec4<i32>) -> vec4<i32> {
#if ${isExtreme}
  return value;
#else
  let difference = value - ${shape.inputZeroPoint};
#if ${fold === 'sumOfMagnitudes'}
  return abs(difference);
#elif ${fold === 'sumOfSquares'}
  return difference * difference;
#else
  return difference;
#endif
#endif
}

#if ${hasThresholds}
fn reached(acc: i32) -> i32 {
  var count = 0u;
  for (var step = 128u; step > 0u; step /= 2u) {
    count += select(0u, step, thresholds[count + step - 1u] <= acc);
  }
  return i32(count);
}

fn finish(acc: vec4<i32>) -> vec4<i32> {
  return vec4<i32>(reached(acc.x), reached(acc.y), reached(acc.z), reached(acc.w)) + ${hasThresholds ? finish.lo : 0};
}
#elif ${finish !== 'select'}
${requantizeWgsl('native')}
fn finish(acc: vec4<i32>) -> vec4<i32> {
  return requantize(acc, requantizerOf(${typeof finish === 'object' && 'requantizer' in finish ? finish.requantizer : ''}));
}
#else
fn finish(acc: vec4<i32>) -> vec4<i32> {
  return acc;
}
#endif
#if ${isShared}
var<workgroup> partial: array<vec4<i32>, WORKGROUP_SIZE>;
#endif

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
#if ${isShared}
  let lane = index % LANES;
  // Those beyond the last word take part in the barriers.
  let output = min(index, INVOCATIONS - 1u) / LANES;
#else
  if (index >= INVOCATIONS) {
    return;
  }
  const lane = 0u;
  let output = index;
#endif
  let pixel = output / OUT_WORDS;
  let column = pixel % OUT_WIDTH;
  let row = pixel / OUT_WIDTH % OUT_HEIGHT;
  let image = pixel / (OUT_WIDTH * OUT_HEIGHT);
  let start = ((image * HEIGHT + row) * WIDTH + column) * WORDS + output % OUT_WORDS;
  var acc = START;
  for (var i = lane; i < STEPS; i += LANES) {
    let word = i % FOLDED_WORDS;
    let at = i / FOLDED_WORDS;
    let value = termOf(unpack4xI8(x[start + (at / COLUMNS * WIDTH + at % COLUMNS) * WORDS + word]));
#if ${isAcross}
    let channels = vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    acc = join(acc, select(START, value, channels < vec4<u32>(CHANNELS)));
#else
    acc = join(acc, value);
#endif
  }
#if ${isShared}
  partial[local] = acc;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      partial[local] = join(partial[local], partial[local + step]);
    }
  }
  if (lane > 0u || index >= INVOCATIONS) {
    return;
  }
  acc = partial[local];
#endif
#if ${isAcross}
  acc = join(acc, acc.zwxy);
  acc = join(acc, acc.yxwz);
#endif
  store(output, finish(acc));
}
`;
};
