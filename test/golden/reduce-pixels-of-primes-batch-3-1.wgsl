
const HEIGHT = 5u;
const WIDTH = 7u;
const CHANNELS = 13u;
const WORDS = 4u;
const OUT_HEIGHT = 1u;
const OUT_WIDTH = 1u;
const OUT_WORDS = 4u;
const COLUMNS = 7u;
const FOLDED_WORDS = 1u;
const STEPS = 5u * COLUMNS * FOLDED_WORDS;
const LANES = 1u;
const START = vec4<i32>(0);
@group(0) @binding(0) var<storage, read> x: array<u32, 3u * HEIGHT * WIDTH * WORDS>;

@group(0) @binding(1) var<storage, read_write> y: array<u32, 3u * OUT_HEIGHT * OUT_WIDTH * OUT_WORDS>;


const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 1u;
const INVOCATIONS = 12u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}


fn store(index: u32, values: vec4<i32>) {

  let lanes = vec4<u32>(index % 4u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(-20), values, lanes < vec4<u32>(13u)));

}

fn join(a: vec4<i32>, b: vec4<i32>) -> vec4<i32> {

  return a + b;

}

fn termOf(value: vec4<i32>) -> vec4<i32> {

  let difference = value - 9;

  return difference;


}



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

fn finish(acc: vec4<i32>) -> vec4<i32> {
  return requantize(acc, requantizerOf(vec4<i32>(20479), vec4<u32>(13421773u), vec4<i32>(bitcast<i32>(2139155708u))));
}



@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);

  if (index >= INVOCATIONS) {
    return;
  }
  const lane = 0u;
  let output = index;

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

    acc = join(acc, value);

  }


  store(output, finish(acc));
}
