
// f32: 64×64 elements a workgroup, 8×8 an invocation, 64 bytes of the inner axis a step.
const K_STEP = 16u;
const STEPS = (WORDS + K_STEP - 1u) / K_STEP;
const TILE_M = 64u;
const TILE_N = 64u;
const INVOCATIONS = 64u;

const MATRICES = 1u;
const HEIGHT = 125u;
const WIDTH = 62u;
const WORDS = 65u;
const OUT_WORDS = 16u;
const A_ZERO = 127;
const B_ZERO = -128;
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

  let lanes = vec4<u32>(index % 16u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(1), values, lanes < vec4<u32>(62u)));

}

fn finish(acc: vec4<i32>) -> vec4<i32> {
  return requantize(acc, requantizerOf(vec4<i32>(102400002), vec4<u32>(10995116u), vec4<i32>(bitcast<i32>(2139095304u))));
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




alias Sum = f32;


fn lanesOf(x: Input) -> Sum {
  return dot(x, Input(1));
}


// Rows are four words apart in memory banks, so that the loader's words do not meet in one.
var<workgroup> tileA: array<vec4<u32>, K_STEP * (TILE_M / 4u + 1u)>;
var<workgroup> tileB: array<vec4<u32>, K_STEP * (TILE_N / 4u + 1u)>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let matrix = workgroup.z;
  let firstRow = workgroup.x * TILE_M;
  let firstColumn = workgroup.y * TILE_N;

  // Loader: this invocation's word of a step, and its rows.
  let loadK = local % K_STEP;
  let loadM = local / K_STEP * 4u;

  // Multiplier: this invocation's rows and columns.
  let threadM = local / (TILE_N / 8u) * 8u;
  let threadN = local % (TILE_N / 8u) * 8u;
  var acc0_0 = vec4<i32>();
  var acc0_1 = vec4<i32>();
  var acc1_0 = vec4<i32>();
  var acc1_1 = vec4<i32>();
  var acc2_0 = vec4<i32>();
  var acc2_1 = vec4<i32>();
  var acc3_0 = vec4<i32>();
  var acc3_1 = vec4<i32>();
  var acc4_0 = vec4<i32>();
  var acc4_1 = vec4<i32>();
  var acc5_0 = vec4<i32>();
  var acc5_1 = vec4<i32>();
  var acc6_0 = vec4<i32>();
  var acc6_1 = vec4<i32>();
  var acc7_0 = vec4<i32>();
  var acc7_1 = vec4<i32>();
  var rowSum0 = Sum();
  var rowSum1 = Sum();
  var rowSum2 = Sum();
  var rowSum3 = Sum();
  var rowSum4 = Sum();
  var rowSum5 = Sum();
  var rowSum6 = Sum();
  var rowSum7 = Sum();
  var columnSum0 = vec4<Sum>();
  var columnSum1 = vec4<Sum>();

  for (var step = 0u; step < STEPS; step++) {
    let k = min(step * K_STEP + loadK, WORDS - 1u);
    let mask = vec4<u32>(select(0u, 0xffffffffu, step * K_STEP + loadK < WORDS));
    tileA[loadK * 17u + loadM / 4u + 0u] = mask & vec4<u32>(
      a[(matrix * HEIGHT + min(firstRow + loadM + 0u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 1u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 2u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 3u, HEIGHT - 1u)) * WORDS + k],
    );
    tileA[loadK * 17u + loadM / 4u + 4u] = mask & vec4<u32>(
      a[(matrix * HEIGHT + min(firstRow + loadM + 16u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 17u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 18u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 19u, HEIGHT - 1u)) * WORDS + k],
    );
    tileA[loadK * 17u + loadM / 4u + 8u] = mask & vec4<u32>(
      a[(matrix * HEIGHT + min(firstRow + loadM + 32u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 33u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 34u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 35u, HEIGHT - 1u)) * WORDS + k],
    );
    tileA[loadK * 17u + loadM / 4u + 12u] = mask & vec4<u32>(
      a[(matrix * HEIGHT + min(firstRow + loadM + 48u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 49u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 50u, HEIGHT - 1u)) * WORDS + k],
      a[(matrix * HEIGHT + min(firstRow + loadM + 51u, HEIGHT - 1u)) * WORDS + k],
    );
    tileB[loadK * 17u + loadM / 4u + 0u] = mask & vec4<u32>(
      b[(matrix * WIDTH + min(firstColumn + loadM + 0u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 1u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 2u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 3u, WIDTH - 1u)) * WORDS + k],
    );
    tileB[loadK * 17u + loadM / 4u + 4u] = mask & vec4<u32>(
      b[(matrix * WIDTH + min(firstColumn + loadM + 16u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 17u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 18u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 19u, WIDTH - 1u)) * WORDS + k],
    );
    tileB[loadK * 17u + loadM / 4u + 8u] = mask & vec4<u32>(
      b[(matrix * WIDTH + min(firstColumn + loadM + 32u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 33u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 34u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 35u, WIDTH - 1u)) * WORDS + k],
    );
    tileB[loadK * 17u + loadM / 4u + 12u] = mask & vec4<u32>(
      b[(matrix * WIDTH + min(firstColumn + loadM + 48u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 49u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 50u, WIDTH - 1u)) * WORDS + k],
      b[(matrix * WIDTH + min(firstColumn + loadM + 51u, WIDTH - 1u)) * WORDS + k],
    );
    workgroupBarrier();


    var partial0_0 = Acc();
    var partial0_1 = Acc();
    var partial1_0 = Acc();
    var partial1_1 = Acc();
    var partial2_0 = Acc();
    var partial2_1 = Acc();
    var partial3_0 = Acc();
    var partial3_1 = Acc();
    var partial4_0 = Acc();
    var partial4_1 = Acc();
    var partial5_0 = Acc();
    var partial5_1 = Acc();
    var partial6_0 = Acc();
    var partial6_1 = Acc();
    var partial7_0 = Acc();
    var partial7_1 = Acc();

    for (var kk = 0u; kk < K_STEP; kk++) {
      let a0 = tileA[kk * (TILE_M / 4u + 1u) + threadM / 4u + 0u];
      let a1 = tileA[kk * (TILE_M / 4u + 1u) + threadM / 4u + 1u];
      let x0 = unpackInput(a0.x);
      let x1 = unpackInput(a0.y);
      let x2 = unpackInput(a0.z);
      let x3 = unpackInput(a0.w);
      let x4 = unpackInput(a1.x);
      let x5 = unpackInput(a1.y);
      let x6 = unpackInput(a1.z);
      let x7 = unpackInput(a1.w);
      let w0 = unpackWeights(tileB[kk * (TILE_N / 4u + 1u) + threadN / 4u + 0u]);
      let w1 = unpackWeights(tileB[kk * (TILE_N / 4u + 1u) + threadN / 4u + 1u]);
      partial0_0 = multiplyAdd(partial0_0, x0, w0);
      partial0_1 = multiplyAdd(partial0_1, x0, w1);
      partial1_0 = multiplyAdd(partial1_0, x1, w0);
      partial1_1 = multiplyAdd(partial1_1, x1, w1);
      partial2_0 = multiplyAdd(partial2_0, x2, w0);
      partial2_1 = multiplyAdd(partial2_1, x2, w1);
      partial3_0 = multiplyAdd(partial3_0, x3, w0);
      partial3_1 = multiplyAdd(partial3_1, x3, w1);
      partial4_0 = multiplyAdd(partial4_0, x4, w0);
      partial4_1 = multiplyAdd(partial4_1, x4, w1);
      partial5_0 = multiplyAdd(partial5_0, x5, w0);
      partial5_1 = multiplyAdd(partial5_1, x5, w1);
      partial6_0 = multiplyAdd(partial6_0, x6, w0);
      partial6_1 = multiplyAdd(partial6_1, x6, w1);
      partial7_0 = multiplyAdd(partial7_0, x7, w0);
      partial7_1 = multiplyAdd(partial7_1, x7, w1);

      rowSum0 += lanesOf(x0);
      rowSum1 += lanesOf(x1);
      rowSum2 += lanesOf(x2);
      rowSum3 += lanesOf(x3);
      rowSum4 += lanesOf(x4);
      rowSum5 += lanesOf(x5);
      rowSum6 += lanesOf(x6);
      rowSum7 += lanesOf(x7);


      columnSum0 += vec4<Sum>(lanesOf(w0[0]),
lanesOf(w0[1]),
lanesOf(w0[2]),
lanesOf(w0[3]));
      columnSum1 += vec4<Sum>(lanesOf(w1[0]),
lanesOf(w1[1]),
lanesOf(w1[2]),
lanesOf(w1[3]));

    }

    acc0_0 += vec4<i32>(partial0_0);
    acc0_1 += vec4<i32>(partial0_1);
    acc1_0 += vec4<i32>(partial1_0);
    acc1_1 += vec4<i32>(partial1_1);
    acc2_0 += vec4<i32>(partial2_0);
    acc2_1 += vec4<i32>(partial2_1);
    acc3_0 += vec4<i32>(partial3_0);
    acc3_1 += vec4<i32>(partial3_1);
    acc4_0 += vec4<i32>(partial4_0);
    acc4_1 += vec4<i32>(partial4_1);
    acc5_0 += vec4<i32>(partial5_0);
    acc5_1 += vec4<i32>(partial5_1);
    acc6_0 += vec4<i32>(partial6_0);
    acc6_1 += vec4<i32>(partial6_1);
    acc7_0 += vec4<i32>(partial7_0);
    acc7_1 += vec4<i32>(partial7_1);

    workgroupBarrier();
  }

  let constant = i32(WORDS) * 4 * (A_ZERO * B_ZERO);
  let row = firstRow + threadM;
  let word = (firstColumn + threadN) / 4u;
  let correction0 = vec4<i32>(constant) - A_ZERO * vec4<i32>(columnSum0);
  let correction1 = vec4<i32>(constant) - A_ZERO * vec4<i32>(columnSum1);
  if (row + 0u < HEIGHT && word + 0u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 0u) * OUT_WORDS + word + 0u, finish(acc0_0 + correction0 - B_ZERO * i32(rowSum0)));
  }
  if (row + 0u < HEIGHT && word + 1u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 0u) * OUT_WORDS + word + 1u, finish(acc0_1 + correction1 - B_ZERO * i32(rowSum0)));
  }
  if (row + 1u < HEIGHT && word + 0u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 1u) * OUT_WORDS + word + 0u, finish(acc1_0 + correction0 - B_ZERO * i32(rowSum1)));
  }
  if (row + 1u < HEIGHT && word + 1u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 1u) * OUT_WORDS + word + 1u, finish(acc1_1 + correction1 - B_ZERO * i32(rowSum1)));
  }
  if (row + 2u < HEIGHT && word + 0u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 2u) * OUT_WORDS + word + 0u, finish(acc2_0 + correction0 - B_ZERO * i32(rowSum2)));
  }
  if (row + 2u < HEIGHT && word + 1u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 2u) * OUT_WORDS + word + 1u, finish(acc2_1 + correction1 - B_ZERO * i32(rowSum2)));
  }
  if (row + 3u < HEIGHT && word + 0u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 3u) * OUT_WORDS + word + 0u, finish(acc3_0 + correction0 - B_ZERO * i32(rowSum3)));
  }
  if (row + 3u < HEIGHT && word + 1u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 3u) * OUT_WORDS + word + 1u, finish(acc3_1 + correction1 - B_ZERO * i32(rowSum3)));
  }
  if (row + 4u < HEIGHT && word + 0u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 4u) * OUT_WORDS + word + 0u, finish(acc4_0 + correction0 - B_ZERO * i32(rowSum4)));
  }
  if (row + 4u < HEIGHT && word + 1u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 4u) * OUT_WORDS + word + 1u, finish(acc4_1 + correction1 - B_ZERO * i32(rowSum4)));
  }
  if (row + 5u < HEIGHT && word + 0u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 5u) * OUT_WORDS + word + 0u, finish(acc5_0 + correction0 - B_ZERO * i32(rowSum5)));
  }
  if (row + 5u < HEIGHT && word + 1u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 5u) * OUT_WORDS + word + 1u, finish(acc5_1 + correction1 - B_ZERO * i32(rowSum5)));
  }
  if (row + 6u < HEIGHT && word + 0u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 6u) * OUT_WORDS + word + 0u, finish(acc6_0 + correction0 - B_ZERO * i32(rowSum6)));
  }
  if (row + 6u < HEIGHT && word + 1u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 6u) * OUT_WORDS + word + 1u, finish(acc6_1 + correction1 - B_ZERO * i32(rowSum6)));
  }
  if (row + 7u < HEIGHT && word + 0u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 7u) * OUT_WORDS + word + 0u, finish(acc7_0 + correction0 - B_ZERO * i32(rowSum7)));
  }
  if (row + 7u < HEIGHT && word + 1u < OUT_WORDS) {
    store((matrix * HEIGHT + row + 7u) * OUT_WORDS + word + 1u, finish(acc7_1 + correction1 - B_ZERO * i32(rowSum7)));
  }
}
