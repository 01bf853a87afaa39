
// f32, 4 rows × 4 columns an invocation.
const ROWS = 4u;
const BLOCKS = 2u;

const MATRICES = 9u;
const HEIGHT = 7u;
const WIDTH = 5u;
const WORDS = 4u;
const OUT_WORDS = 2u;
const A_ZERO = 5;
const B_ZERO = -9;
@group(0) @binding(0) var<storage, read> a: array<u32, MATRICES * HEIGHT * WORDS>;
@group(0) @binding(1) var<storage, read> b: array<u32, MATRICES * WIDTH * WORDS>;

@group(0) @binding(2) var<storage, read_write> y: array<u32, MATRICES * HEIGHT * OUT_WORDS>;

struct Requantizer {
  limit: vec4<i32>,
  leftFactor: vec4<u32>,
  mantissaLow: vec4<u32>,
  mantissaHigh: vec4<u32>,

  rightShift: vec4<u32>,

  half: vec4<i32>,
  zeroPoint: vec4<i32>,
  lo: vec4<i32>,
  hi: vec4<i32>,
}


fn highHalf(v: vec4<u32>) -> vec4<u32> {
  return v >> vec4<u32>(16u);
}

fn requantizerOf(limit: vec4<i32>, mantissa: vec4<u32>, fields: vec4<i32>) -> Requantizer {
  let exponent = extractBits(fields, 0u, 8u);
  let rightShift = vec4<u32>(max(exponent, vec4<i32>(0))) + 2u;
  return Requantizer(
    limit,
    vec4<u32>(1u) << vec4<u32>(max(-exponent, vec4<i32>(0))),
    mantissa & vec4<u32>(0xffffu),
    highHalf(mantissa),
    rightShift,
    vec4<i32>(1) << (rightShift - 1u),
    extractBits(fields, 8u, 8u),
    extractBits(fields, 16u, 8u),
    extractBits(fields, 24u, 8u),
  );
}


fn requantize(acc: vec4<i32>, r: Requantizer) -> vec4<i32> {
  // product = p2 · 2³² + (p1 mod 2¹⁶) · 2¹⁶ + (p0 mod 2¹⁶); p1 < 2³² since magnitude ≤ 2³¹ and mantissa < 2²⁴.
  let magnitude = bitcast<vec4<u32>>(min(abs(acc), r.limit)) * r.leftFactor;
  let low = magnitude & vec4<u32>(0xffffu);
  let high = highHalf(magnitude);
  let p0 = low * r.mantissaLow;
  let p1 = high * r.mantissaLow + low * r.mantissaHigh + highHalf(p0);
  let p2 = high * r.mantissaHigh + highHalf(p1);

  // Bit 31 of the product and "any lower bit set" go below p2 (< 2²⁴); rounding at bit rightShift of that is exact.
  // From here on all is below 2²⁶: signed comparisons, which software adapters need fewer instructions for, do.
  let one = vec4<i32>(1);
  let bit31 = min(bitcast<vec4<i32>>(p1 & vec4<u32>(0x8000u)), one);
  let below = (p1 & vec4<u32>(0x7fffu)) | (p0 & vec4<u32>(0xffffu));
  let sticky = min(bitcast<vec4<i32>>(below), one);
  let folded = bitcast<vec4<i32>>(p2) * 4 + bit31 * 2 + sticky;
  let rest = folded & (r.half * 2 - 1);

  let down = folded >> r.rightShift;

  let up = (rest > r.half) | ((rest == r.half) & ((down & one) != vec4<i32>()));
  let rounded = select(down, down + 1, up);
  return clamp(r.zeroPoint + select(rounded, -rounded, acc < vec4<i32>()), r.lo, r.hi);
}


fn store(index: u32, values: vec4<i32>) {

  let lanes = vec4<u32>(index % 2u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(1), values, lanes < vec4<u32>(5u)));

}

fn finish(acc: vec4<i32>) -> vec4<i32> {
  return requantize(acc, requantizerOf(vec4<i32>(479970), vec4<u32>(9163151u), vec4<i32>(bitcast<i32>(2139095296u))));
}



const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 1u;
const INVOCATIONS = 36u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}




alias Acc = vec4<f32>;
alias Input = vec4<f32>;
const FLUSH = 256u;

alias Weights = array<Input, 4>;


// Each byte is moved to the top of a word, where its sign is; the exact factor 2⁻²⁴ brings it back as a float. Integer shifts, which
// unpack4xI8 is made of, are slow on the adapters that this family is for.
fn unpackInput(word: u32) -> Input {
  let bytes = (vec4<u32>(word) * vec4<u32>(0x1000000u, 0x10000u, 0x100u, 1u)) & vec4<u32>(0xff000000u);
  return vec4<f32>(bitcast<vec4<i32>>(bytes)) * 0x1p-24;
}


fn unpackWeights(words: vec4<u32>) -> Weights {
  return Weights(unpackInput(words.x), unpackInput(words.y), unpackInput(words.z), unpackInput(words.w));
}

fn multiplyAdd(acc: Acc, x: Input, w: Weights) -> Acc {
  return acc + Acc(dot(x, w[0]), dot(x, w[1]), dot(x, w[2]), dot(x, w[3]));
}

fn sumOf(word: u32) -> i32 {
  return dot(unpack4xI8(word), vec4<i32>(1));
}



@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let word = index % OUT_WORDS;
  let block = index / OUT_WORDS;
  let matrix = block / BLOCKS;
  let first = block % BLOCKS * ROWS;
  let columns = min(vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(WIDTH - 1u));
  let start = (vec4<u32>(matrix * WIDTH) + columns) * WORDS;
  let row0 = (matrix * HEIGHT + min(first + 0u, HEIGHT - 1u)) * WORDS;
  var acc0 = vec4<i32>();
  var rowSum0 = 0;
  let row1 = (matrix * HEIGHT + min(first + 1u, HEIGHT - 1u)) * WORDS;
  var acc1 = vec4<i32>();
  var rowSum1 = 0;
  let row2 = (matrix * HEIGHT + min(first + 2u, HEIGHT - 1u)) * WORDS;
  var acc2 = vec4<i32>();
  var rowSum2 = 0;
  let row3 = (matrix * HEIGHT + min(first + 3u, HEIGHT - 1u)) * WORDS;
  var acc3 = vec4<i32>();
  var rowSum3 = 0;

  var partial0 = Acc();
  var partial1 = Acc();
  var partial2 = Acc();
  var partial3 = Acc();

  var columnSums = vec4<i32>();

  for (var k = 0u; k < WORDS; k++) {
    let packed = vec4<u32>(b[start.x + k], b[start.y + k], b[start.z + k], b[start.w + k]);
    columnSums += vec4<i32>(sumOf(packed.x), sumOf(packed.y), sumOf(packed.z), sumOf(packed.w));
    let w = unpackWeights(packed);
    let a0 = a[row0 + k];
    rowSum0 += sumOf(a0);
    partial0 = multiplyAdd(partial0, unpackInput(a0), w);
    let a1 = a[row1 + k];
    rowSum1 += sumOf(a1);
    partial1 = multiplyAdd(partial1, unpackInput(a1), w);
    let a2 = a[row2 + k];
    rowSum2 += sumOf(a2);
    partial2 = multiplyAdd(partial2, unpackInput(a2), w);
    let a3 = a[row3 + k];
    rowSum3 += sumOf(a3);
    partial3 = multiplyAdd(partial3, unpackInput(a3), w);

    if (k % FLUSH == FLUSH - 1u) {
      acc0 += vec4<i32>(partial0);
      partial0 = Acc();
      acc1 += vec4<i32>(partial1);
      partial1 = Acc();
      acc2 += vec4<i32>(partial2);
      partial2 = Acc();
      acc3 += vec4<i32>(partial3);
      partial3 = Acc();
    }

  }

  let correction = i32(WORDS) * 4 * (A_ZERO * B_ZERO) - A_ZERO * columnSums;
  let to = (matrix * HEIGHT + first) * OUT_WORDS + word;
  if (first + 0u < HEIGHT) {
    store(to + 0u * OUT_WORDS, finish(acc0 + vec4<i32>(partial0) + correction - B_ZERO * rowSum0));
  }
  if (first + 1u < HEIGHT) {
    store(to + 1u * OUT_WORDS, finish(acc1 + vec4<i32>(partial1) + correction - B_ZERO * rowSum1));
  }
  if (first + 2u < HEIGHT) {
    store(to + 2u * OUT_WORDS, finish(acc2 + vec4<i32>(partial2) + correction - B_ZERO * rowSum2));
  }
  if (first + 3u < HEIGHT) {
    store(to + 3u * OUT_WORDS, finish(acc3 + vec4<i32>(partial3) + correction - B_ZERO * rowSum3));
  }
}
