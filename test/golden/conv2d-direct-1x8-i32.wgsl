
// i32, 1 pixels × 8 channels an invocation.

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

const GROUP_OUT_WORDS = 16u;
const PIXELS = 1u;
const WORDS = 2u;
const WORD_BLOCKS = OUT_WORDS / WORDS;
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



const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 8u;
const INVOCATIONS = 512u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}




alias Acc = vec4<i32>;
alias Input = vec4<i32>;

alias Weights = array<Input, 4>;


fn unpackInput(word: u32) -> Input {
  return unpack4xI8(word);
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
  let firstWord = index % WORD_BLOCKS * WORDS;
  let firstPixel = index / WORD_BLOCKS * PIXELS;
  let groupStart = firstWord / GROUP_OUT_WORDS * GROUP_IN_WORDS;
  let padding = bitcast<u32>(epilogue[LAYER_RECORD + 0u].x);

  let pixel0 = min(firstPixel + 0u, OUT_PIXELS - 1u);
  let start0 = windowStart(pixel0);
  var acc0_0 = vec4<i32>();
  var acc0_1 = vec4<i32>();



  var k = 0u;
  for (var ky = 0; ky < i32(KERNEL_H); ky++) {
    for (var kx = 0; kx < i32(KERNEL_W); kx++) {
      let row = ky * DILATION_H;
      let column = kx * DILATION_W;
      let from0 = inputStart(start0, row, column);
      for (var word = 0u; word < GROUP_IN_WORDS; word++) {
        let packed0 = inputWord(from0, groupStart + word, padding);
        let x0 = unpackInput(packed0);
        let w0 = unpackWeights(weights[k * OUT_WORDS + firstWord + 0u]);
        let w1 = unpackWeights(weights[k * OUT_WORDS + firstWord + 1u]);
        acc0_0 = multiplyAdd(acc0_0, x0, w0);
        acc0_1 = multiplyAdd(acc0_1, x0, w1);

        k++;

      }
    }
  }

  // From here on a loop: the epilogue is long, and nothing else has to stay in registers.
  var results = array<vec4<i32>, PIXELS * WORDS>(
    acc0_0,
    acc0_1,
  );
  for (var j = 0u; j < WORDS; j++) {
    let channels = channelsOf(firstWord + j);
    for (var p = 0u; p < PIXELS; p++) {
      if (firstPixel + p < OUT_PIXELS) {
        store(firstPixel + p, channels, results[p * WORDS + j]);
      }
    }
  }
}
