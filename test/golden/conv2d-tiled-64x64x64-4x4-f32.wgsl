
// f32: 64×64 outputs a workgroup, 4×4 an invocation, 64 bytes of K a step.

const BATCH = 1u;
const HEIGHT = 8u;
const WIDTH = 8u;
const IN_WORDS = 8u;
const OUT_HEIGHT = 8u;
const OUT_WIDTH = 8u;
const OUT_WORDS = 16u;
const OUT_PIXELS = BATCH * OUT_HEIGHT * OUT_WIDTH;
const KERNEL_H = 3u;
const KERNEL_W = 3u;
const GROUP_IN = 32u;
const GROUP_IN_WORDS = 8u;
const K = KERNEL_H * KERNEL_W * GROUP_IN;
const K_WORDS = 72u;
const STRIDE_H = 1;
const STRIDE_W = 1;
const PAD_TOP = 1;
const PAD_LEFT = 1;
const DILATION_H = 1;
const DILATION_W = 1;

const K_STEP = 16u;
const STEPS = (K_WORDS + K_STEP - 1u) / K_STEP;
const TILE_M = 64u;
// Rows of tileX are four words apart in memory banks, so that the loader's columns do not meet in one.
const TILE_M_VECTORS = TILE_M / 4u + 1u;
const TILE_WORDS = 16u;
const INVOCATIONS = 256u;
const M = OUT_PIXELS * 1u;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>, K_WORDS * OUT_WORDS>;

@group(0) @binding(0) var<storage, read> x: array<u32, BATCH * HEIGHT * WIDTH * IN_WORDS>;

// Batch, row and column where the window of an output pixel starts (of its first window, if pooled); may lie in the padding.
fn windowStart(pixel: u32) -> vec3<i32> {
  let n = i32(pixel / (OUT_HEIGHT * OUT_WIDTH));
  let row = i32(pixel / OUT_WIDTH % OUT_HEIGHT);
  let column = i32(pixel % OUT_WIDTH);

  return vec3<i32>(n, row * STRIDE_H - PAD_TOP, column * STRIDE_W - PAD_LEFT);

}

// First word of the input pixel at an offset from a window's start, or -1 where it lies in the padding.
fn inputStart(start: vec3<i32>, row: i32, column: i32) -> i32 {
  let at = start.yz + vec2<i32>(row, column);
  let inside = all(at >= vec2<i32>(0)) && all(at < vec2<i32>(i32(HEIGHT), i32(WIDTH)));
  return select(-1, ((start.x * i32(HEIGHT) + at.x) * i32(WIDTH) + at.y) * i32(IN_WORDS), inside);
}

fn inputWord(start: i32, word: u32, padding: u32) -> u32 {
  return select(padding, x[u32(max(start, 0)) + word], start >= 0);
}


const RECORD = 4u;

const LAYER_RECORD = OUT_WORDS * RECORD;

@group(0) @binding(2) var<storage, read> epilogue: array<vec4<i32>, LAYER_RECORD + 3u>;

@group(0) @binding(3) var<storage, read_write> y: array<u32, OUT_PIXELS * OUT_WORDS>;

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




// What the epilogue needs of one word of channels, read once for all pixels.
struct Channels {
  word: u32,
  bias: vec4<i32>,

  requantizer: Requantizer,

}

fn channelsOf(word: u32) -> Channels {
  let record = word * RECORD;

  let mantissa = bitcast<vec4<u32>>(epilogue[record + 2u]);
  return Channels(word, epilogue[record + 0u], requantizerOf(epilogue[record + 1u], mantissa, epilogue[record + 3u]));

}

fn store(pixel: u32, channels: Channels, acc: vec4<i32>) {
  let index = pixel * OUT_WORDS + channels.word;
  let biased = acc + channels.bias;

  let q = requantize(biased, channels.requantizer);

  y[index] = pack4xI8(q);


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



var<workgroup> tileX: array<vec4<u32>, K_STEP * TILE_M_VECTORS>;
var<workgroup> tileW: array<vec4<u32>, K_STEP * TILE_WORDS>;

// The window behind row m of the GEMM.
fn rowStart(m: u32) -> vec3<i32> {
  let row = min(m, M - 1u);

  return windowStart(row);

}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let tileStart = workgroup.x * TILE_M;
  let tileWord = workgroup.y * TILE_WORDS;
  let padding = bitcast<u32>(epilogue[LAYER_RECORD + 0u].x);

  // Loader: this invocation's word of a K step, and its pixels.
  let loadK = local % K_STEP;
  let loadM = local / K_STEP * 4u;
  let start0 = rowStart(tileStart + loadM + 0u);
  let start1 = rowStart(tileStart + loadM + 1u);
  let start2 = rowStart(tileStart + loadM + 2u);
  let start3 = rowStart(tileStart + loadM + 3u);

  // Multiplier: this invocation's pixels and channels.
  let threadM = local / (TILE_WORDS / 1u) * 4u;
  let threadWord = local % (TILE_WORDS / 1u) * 1u;
  var acc0_0 = vec4<i32>();
  var acc1_0 = vec4<i32>();
  var acc2_0 = vec4<i32>();
  var acc3_0 = vec4<i32>();


  for (var step = 0u; step < STEPS; step++) {
    let k = min(step * K_STEP + loadK, K_WORDS - 1u);
    let row = i32(k / (KERNEL_W * IN_WORDS)) * DILATION_H;
    let column = i32(k / IN_WORDS % KERNEL_W) * DILATION_W;
    let word = k % IN_WORDS;

    let lanes = 0xffffffffu;

    // Beyond the end of K the inputs are 0, whatever the weights.
    let mask = select(0u, lanes, step * K_STEP + loadK < K_WORDS);
    tileX[loadK * TILE_M_VECTORS + loadM / 4u + 0u] = vec4<u32>(mask) & vec4<u32>(
      inputWord(inputStart(start0, row, column), word, padding),
      inputWord(inputStart(start1, row, column), word, padding),
      inputWord(inputStart(start2, row, column), word, padding),
      inputWord(inputStart(start3, row, column), word, padding),
    );
    {
      let at = local + 0u;
      let weightK = min(step * K_STEP + at / TILE_WORDS, K_WORDS - 1u);
      let weightWord = min(tileWord + at % TILE_WORDS, OUT_WORDS - 1u);
      tileW[at] = weights[weightK * OUT_WORDS + weightWord];
    }
    workgroupBarrier();


    var partial0_0 = Acc();
    var partial1_0 = Acc();
    var partial2_0 = Acc();
    var partial3_0 = Acc();

    for (var kk = 0u; kk < K_STEP; kk++) {
      let packed0 = tileX[kk * TILE_M_VECTORS + threadM / 4u + 0u];
      let x0 = unpackInput(packed0.x);
      let x1 = unpackInput(packed0.y);
      let x2 = unpackInput(packed0.z);
      let x3 = unpackInput(packed0.w);
      let w0 = unpackWeights(tileW[kk * TILE_WORDS + threadWord + 0u]);
      partial0_0 = multiplyAdd(partial0_0, x0, w0);
      partial1_0 = multiplyAdd(partial1_0, x1, w0);
      partial2_0 = multiplyAdd(partial2_0, x2, w0);
      partial3_0 = multiplyAdd(partial3_0, x3, w0);

    }

    acc0_0 += vec4<i32>(partial0_0);
    acc1_0 += vec4<i32>(partial1_0);
    acc2_0 += vec4<i32>(partial2_0);
    acc3_0 += vec4<i32>(partial3_0);

    workgroupBarrier();
  }

  const PIXELS = 4u;
  const WORDS = 1u;
  let firstPixel = (tileStart + threadM) / 1u;
  var results = array<vec4<i32>, PIXELS * WORDS>(
    acc0_0,
    acc1_0,
    acc2_0,
    acc3_0,
  );
  for (var j = 0u; j < WORDS; j++) {
    if (tileWord + threadWord + j < OUT_WORDS) {
      let channels = channelsOf(tileWord + threadWord + j);
      for (var p = 0u; p < PIXELS; p++) {
        if (firstPixel + p < OUT_PIXELS) {
          store(firstPixel + p, channels, results[p * WORDS + j]);
        }
      }
    }
  }
}
