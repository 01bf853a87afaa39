
enable subgroups;

// dot4I8Packed, 2 pixels × 8 channels a quad.
const WORKGROUP_SIZE = 16u;
const OUT_PIXELS = 2u;
const WORDS = 2u;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
// Words of a row of taps: WORDS words of output channels each, by four lanes.
const ROW_LENGTH = 8u;

const RECORD = 4u;

@group(0) @binding(2) var<storage, read> epilogue: array<vec4<i32>>;

@group(0) @binding(3) var<storage, read_write> y: array<vec4<i32>>;



// What the epilogue needs of one word of channels, read once for all pixels.
struct Channels {
  word: u32,
  bias: vec4<i32>,

}

fn channelsOf(word: u32) -> Channels {
  let record = word * RECORD;

  return Channels(word, epilogue[record + 0u]);

}

fn store(pixel: u32, channels: Channels, acc: vec4<i32>) {
  let index = pixel * layer.outWords + channels.word;
  let biased = acc + channels.bias;

  y[index] = biased;

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
  let loaded = lane % 4u;
  let row0 = block * inWords + (loaded ^ 0u);
  let row1 = block * inWords + (loaded ^ 1u);
  let row2 = block * inWords + (loaded ^ 2u);
  let row3 = block * inWords + (loaded ^ 3u);
  var total0_0 = 0i;
  var total0_1 = 0i;
  var total1_0 = 0i;
  var total1_1 = 0i;
  for (var first = 0u; first < inWords; first += layer.flushSteps) {
    let end = min(first + layer.flushSteps, inWords);
  var acc0_0 = i32();
  var acc0_1 = i32();
  var acc1_0 = i32();
  var acc1_1 = i32();
  for (var word = first; word < end; word += 4u) {
    let weights0 = (row0 + word) * ROW_LENGTH + lane;
    let weights1 = (row1 + word) * ROW_LENGTH + lane;
    let weights2 = (row2 + word) * ROW_LENGTH + lane;
    let weights3 = (row3 + word) * ROW_LENGTH + lane;
    let packed0 = x[0u * inWords + word + loaded];
    let packed1 = x[1u * inWords + word + loaded];
    let packedW0_0 = weights[weights0 + 0u];
    let packedW1_0 = weights[weights0 + 4u];
    let packedW0_1 = weights[weights1 + 0u];
    let packedW1_1 = weights[weights1 + 4u];
    let packedW0_2 = weights[weights2 + 0u];
    let packedW1_2 = weights[weights2 + 4u];
    let packedW0_3 = weights[weights3 + 0u];
    let packedW1_3 = weights[weights3 + 4u];
    let x0 = unpackInput(packed0);
      let x0x = quadSwapX(x0);
      let x0y = quadSwapY(x0);
      let x0d = quadSwapDiagonal(x0);
    let x1 = unpackInput(packed1);
      let x1x = quadSwapX(x1);
      let x1y = quadSwapY(x1);
      let x1d = quadSwapDiagonal(x1);
    let w0_0 = unpackInput(packedW0_0);
    let w0_1 = unpackInput(packedW0_1);
    let w0_2 = unpackInput(packedW0_2);
    let w0_3 = unpackInput(packedW0_3);
    acc0_0 += dot4I8Packed(x0, w0_0) + dot4I8Packed(x0x, w0_1) + dot4I8Packed(x0y, w0_2) + dot4I8Packed(x0d, w0_3);
    acc1_0 += dot4I8Packed(x1, w0_0) + dot4I8Packed(x1x, w0_1) + dot4I8Packed(x1y, w0_2) + dot4I8Packed(x1d, w0_3);
    let w1_0 = unpackInput(packedW1_0);
    let w1_1 = unpackInput(packedW1_1);
    let w1_2 = unpackInput(packedW1_2);
    let w1_3 = unpackInput(packedW1_3);
    acc0_1 += dot4I8Packed(x0, w1_0) + dot4I8Packed(x0x, w1_1) + dot4I8Packed(x0y, w1_2) + dot4I8Packed(x0d, w1_3);
    acc1_1 += dot4I8Packed(x1, w1_0) + dot4I8Packed(x1x, w1_1) + dot4I8Packed(x1y, w1_2) + dot4I8Packed(x1d, w1_3);
  }
  total0_0 += i32(acc0_0);
  total0_1 += i32(acc0_1);
  total1_0 += i32(acc1_0);
  total1_1 += i32(acc1_1);
  }

  var results = array<i32, OUT_PIXELS * WORDS>(
    total0_0,
    total0_1,
    total1_0,
    total1_1,
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
