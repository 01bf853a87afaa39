
enable subgroups;

// dot4I8Packed, 1 pixels × 4 channels a quad.
const WORKGROUP_SIZE = 16u;
const OUT_PIXELS = 1u;
const WORDS = 1u;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
// Words of a row of taps: WORDS words of output channels each, by four lanes.
const ROW_LENGTH = 4u;

const RECORD = 4u;

@group(0) @binding(2) var<storage, read> epilogue: array<vec4<i32>>;

@group(0) @binding(3) var<storage, read_write> y: array<u32>;

struct Requantizer {
  limit: vec4<i32>,
  leftFactor: vec4<u32>,
  mantissaLow: vec4<u32>,
  mantissaHigh: vec4<u32>,

  // 2^−rightShift
  scale: vec4<f32>,

  half: vec4<i32>,
  zeroPoint: vec4<i32>,
  lo: vec4<i32>,
  hi: vec4<i32>,
}


// As signed numbers multiples of 2¹⁶, whose quotients are kept modulo 2¹⁶.
fn highHalf(v: vec4<u32>) -> vec4<u32> {
  let high = vec4<f32>(bitcast<vec4<i32>>(v & vec4<u32>(0xffff0000u)));
  return bitcast<vec4<u32>>(high * 0x1p-16 + MAGIC) & vec4<u32>(0xffffu);
}

// 2^e, e from −126 to 127, by its exponent's bits.
fn powerOfTwo(e: vec4<i32>) -> vec4<f32> {
  return bitcast<vec4<f32>>((e + vec4<i32>(127)) * 0x800000);
}

// The four bytes of a word, low first. unpackScaled, integersOf and MAGIC are conv2d-layer.wgsl.ts's.
fn bytesOf(word: u32) -> vec4<i32> {
  return integersOf(unpackScaled(word) * 0x1p-24);
}

fn packBytes(bytes: vec4<i32>) -> u32 {
  return dot(bitcast<vec4<u32>>(bytes) & vec4<u32>(0xffu), vec4<u32>(1u, 0x100u, 0x10000u, 0x1000000u));
}

fn requantizerOf(limit: vec4<i32>, mantissa: vec4<u32>, fields: vec4<i32>) -> Requantizer {
  let words = bitcast<vec4<u32>>(fields);
  let a = bytesOf(words.x);
  let b = bytesOf(words.y);
  let c = bytesOf(words.z);
  let d = bytesOf(words.w);
  let exponent = vec4<i32>(a.x, b.x, c.x, d.x);
  let rightShift = max(exponent, vec4<i32>(0)) + 2;
  return Requantizer(
    limit,
    bitcast<vec4<u32>>(integersOf(powerOfTwo(max(-exponent, vec4<i32>(0))))),
    mantissa & vec4<u32>(0xffffu),
    highHalf(mantissa),
    powerOfTwo(-rightShift),
    vec4<i32>(powerOfTwo(rightShift - 1)),
    vec4<i32>(a.y, b.y, c.y, d.y),
    vec4<i32>(a.z, b.z, c.z, d.z),
    vec4<i32>(a.w, b.w, c.w, d.w),
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

  // A multiple of 2^rightShift below 2²⁶, rightShift ≥ 2: 24 significant bits, and a quotient below 2¹¹.
  let down = integersOf(vec4<f32>(folded - rest) * r.scale);

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
  let index = pixel * layer.outWords + channels.word;
  let biased = acc + channels.bias;

  let q = requantize(biased, channels.requantizer);

  y[index] = packBytes(q);


}



struct Layer {
  batch: u32,
  height: u32,
  width: u32,
  inWords: u32,
  outHeight: u32,
  outWidth: u32,
  outWords: u32,
  outChannels: u32,
  groupInWords: u32,
  groupOutWords: u32,
  padTop: u32,
  padLeft: u32,
  pool: u32,
  patchRows: u32,
  patchColumns: u32,
  steps: u32,
  flushSteps: u32,
  invocations: u32,
  gridColumns: u32,
}
@group(0) @binding(4) var<storage, read> layer: Layer;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * layer.gridColumns + workgroup.x) * WORKGROUP_SIZE + local;
}

// Each byte at the top of a word, where its sign is: the value times 2²⁴. Integer shifts, which unpack4xI8 is made of, are slow on the
// adapters that these kernels are for, and scaling back can wait.
fn unpackScaled(word: u32) -> vec4<f32> {
  return vec4<f32>(
    f32(bitcast<i32>(word * 0x1000000u)),
    f32(bitcast<i32>((word * 0x10000u) & 0xff000000u)),
    f32(bitcast<i32>((word * 0x100u) & 0xff000000u)),
    f32(bitcast<i32>(word & 0xff000000u)),
  );
}

// An integer below 2²² becomes the low bits of a float's mantissa where 1.5 · 2²³ is added. A conversion would also look after numbers that are too
// large and those that are none, in some 150 instructions.
const MAGIC = 0x1.8p23f;

fn integersOf(v: vec4<f32>) -> vec4<i32> {
  return bitcast<vec4<i32>>(v + MAGIC) - bitcast<i32>(MAGIC);
}

// The same up to 2²⁴, in two parts.
fn largeIntegersOf(v: vec4<f32>) -> vec4<i32> {
  let high = integersOf(v * 0x1p-12);
  return high * 4096 + integersOf(v - vec4<f32>(high) * 4096.0);
}



alias Input = u32;
alias Weights = vec4<u32>;
alias Acc = vec4<i32>;

fn unpackInput(word: u32) -> Input {
  return word;
}

fn unpackWeights(words: vec4<u32>) -> Weights {
  return words;
}

fn multiplyAdd(acc: Acc, x: Input, w: Weights) -> Acc {
  return acc + vec4<i32>(
    dot4I8Packed(x, w.x), dot4I8Packed(x, w.y), dot4I8Packed(x, w.z), dot4I8Packed(x, w.w));
}

fn sumOf(word: u32) -> i32 {
  return dot4I8Packed(word, 0x01010101u);
}



@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  // Quads beyond the last repeat it: shuffles want every lane.
  let lane = local % 4u;
  let index = min(invocationIndex(workgroup, local), layer.invocations - 4u + lane);
  let inWords = layer.inWords;
  let block = index / 4u;
  let firstWord = block * WORDS;
  let loaded = lane % 2u;
  let row0 = block * inWords + (loaded ^ 0u);
  let row1 = block * inWords + (loaded ^ 1u);
  var total0_0 = 0i;
  for (var first = 0u; first < inWords; first += layer.flushSteps) {
    let end = min(first + layer.flushSteps, inWords);
  var acc0_0 = i32();
  for (var word = first; word < end; word += 2u) {
    let weights0 = (row0 + word) * ROW_LENGTH + lane;
    let weights1 = (row1 + word) * ROW_LENGTH + lane;
    let packed0 = x[0u * inWords + word + loaded];
    let packedW0_0 = weights[weights0 + 0u];
    let packedW0_1 = weights[weights1 + 0u];
    let x0 = unpackInput(packed0);
      let x0x = quadSwapX(x0);
    let w0_0 = unpackInput(packedW0_0);
    let w0_1 = unpackInput(packedW0_1);
    acc0_0 += dot4I8Packed(x0, w0_0) + dot4I8Packed(x0x, w0_1);
  }
  total0_0 += i32(acc0_0);
  }

  var results = array<i32, OUT_PIXELS * WORDS>(
    total0_0,
  );
  for (var j = 0u; j < WORDS; j++) {
    let channels = channelsOf(firstWord + j);
    for (var p = 0u; p < OUT_PIXELS; p++) {
      let own = results[p * WORDS + j];
      let acc = vec4<i32>(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u));
      if (lane == j % 4u) {
        store(p, channels, acc);
      }
    }
  }
}
