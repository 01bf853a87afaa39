
const HEIGHT = 4u;
const WIDTH = 5u;
const OUT_HEIGHT = 8u;
const OUT_WIDTH = 10u;
const WORDS = 2u;
const ROW_TAPS = 2u;
const COLUMN_TAPS = 2u;
const ROW_ENTRIES = OUT_HEIGHT * ROW_TAPS;
const COLUMN_ENTRIES = OUT_WIDTH * COLUMN_TAPS;
@group(0) @binding(0) var<storage, read> x: array<u32, 40>;
@group(0) @binding(1) var<storage, read> taps: array<i32, 2u * (ROW_ENTRIES + COLUMN_ENTRIES)>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, 160>;

const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 3u;
const INVOCATIONS = 160u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
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


fn store(index: u32, values: vec4<i32>) {

  y[index] = pack4xI8(values);

}


@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let word = index % WORDS;
  let pixel = index / WORDS;
  let column = pixel % OUT_WIDTH * COLUMN_TAPS;
  let row = pixel / OUT_WIDTH % OUT_HEIGHT * ROW_TAPS;
  let image = pixel / (OUT_WIDTH * OUT_HEIGHT) * HEIGHT;
  var sum = vec4<i32>();
  for (var r = 0u; r < ROW_TAPS; r++) {
    let line = (image + u32(taps[row + r])) * WIDTH;
    var inner = vec4<i32>();
    for (var c = 0u; c < COLUMN_TAPS; c++) {
      let at = 2u * ROW_ENTRIES + column + c;
      let value = unpack4xI8(x[(line + u32(taps[at])) * WORDS + word]) - 9;
      inner += value * taps[at + COLUMN_ENTRIES];
    }
    sum += inner * taps[row + r + ROW_ENTRIES];
  }
  store(index, requantize(sum, requantizerOf(vec4<i32>(1193046502), vec4<u32>(15099494u), vec4<i32>(bitcast<i32>(2021714956u)))));
}
