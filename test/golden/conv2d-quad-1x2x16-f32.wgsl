
enable subgroups;

// f32, 1×2 pixels a lane, 16 channels a quad.
const WORKGROUP_SIZE = 16u;
const WORDS = 4u;
const PATCH_H = 1u;
const PATCH_W = 2u;
const STRIDE_H = 1;
const STRIDE_W = 1;
const DILATION_H = 1;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
// Words of a row of taps: WORDS words of output channels each, by four lanes.
const ROW_LENGTH = 48u;

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


// Component r of an accumulator is of the lane's own channel and of the pixel of lane ^ r. Turns that into the four channels of the lane's own pixel.
fn ownPixel(acc: vec4<i32>, lane: u32) -> vec4<i32> {
  let channels = vec4<i32>(acc.x, quadSwapX(acc.y), quadSwapY(acc.z), quadSwapDiagonal(acc.w));
  // Component r is now of channel lane ^ r.
  let pairs = select(channels, channels.yxwz, (lane & 1u) != 0u);
  return select(pairs, pairs.zwxy, (lane & 2u) != 0u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let height = layer.height;
  let width = layer.width;
  let patchRows = layer.patchRows;
  let patchColumns = layer.patchColumns;
  let patches = layer.batch * patchRows * patchColumns;
  // Quads beyond the last repeat it and store nothing: shuffles want every lane.
  let lane = local % 4u;
  let index = min(invocationIndex(workgroup, local), layer.invocations - 4u + lane);
  let pooled = layer.pool != 0u;
  // Neighbouring quads take neighbouring patches with the same weights: those stay in the cache.

  let perQuad = 4u;

  let patchGroups = (patches + perQuad - 1u) / perQuad;
  let block = index / 4u / patchGroups;
  let firstWord = block * WORDS;

  let patchIndex = index / 4u % patchGroups * perQuad + lane;

  let at = min(patchIndex, patches - 1u);
  let image = at / (patchRows * patchColumns);
  let patchRow = at / patchColumns % patchRows;
  let patchColumn = at % patchColumns;

  let firstRow = patchRow * PATCH_H;
  let firstColumn = patchColumn * PATCH_W;

  let groupInWords = layer.groupInWords;
  let groupStart = firstWord / layer.groupOutWords * groupInWords;
  let padding = bitcast<u32>(epilogue[layer.outWords * RECORD + 0u].x);
  let steps = layer.steps;
  let rowWords = width * layer.inWords;

  let top = i32(firstRow) * STRIDE_H - i32(layer.padTop);
  let left = i32(firstColumn) * STRIDE_W - i32(layer.padLeft);
  let column0 = left + 0;
  let columnInside0 = (column0 >= 0) & (column0 < i32(width));
  let columnStart0 = u32(clamp(column0, 0, i32(width) - 1)) * layer.inWords;
  let column1 = left + 1;
  let columnInside1 = (column1 >= 0) & (column1 < i32(width));
  let columnStart1 = u32(clamp(column1, 0, i32(width) - 1)) * layer.inWords;
  let column2 = left + 2;
  let columnInside2 = (column2 >= 0) & (column2 < i32(width));
  let columnStart2 = u32(clamp(column2, 0, i32(width) - 1)) * layer.inWords;
  let column3 = left + 3;
  let columnInside3 = (column3 >= 0) & (column3 < i32(width));
  let columnStart3 = u32(clamp(column3, 0, i32(width) - 1)) * layer.inWords;

  var total0_0 = vec4<i32>();
  var total0_1 = vec4<i32>();
  var total0_2 = vec4<i32>();
  var total0_3 = vec4<i32>();
  var total1_0 = vec4<i32>();
  var total1_1 = vec4<i32>();
  var total1_2 = vec4<i32>();
  var total1_3 = vec4<i32>();
  for (var first = 0u; first < steps; first += layer.flushSteps) {
    let end = min(first + layer.flushSteps, steps);
  var acc0_0 = vec4<f32>();
  var acc0_1 = vec4<f32>();
  var acc0_2 = vec4<f32>();
  var acc0_3 = vec4<f32>();
  var acc1_0 = vec4<f32>();
  var acc1_1 = vec4<f32>();
  var acc1_2 = vec4<f32>();
  var acc1_3 = vec4<f32>();

    var ky = first / groupInWords;
    var word = first % groupInWords;
    for (var step = first; step < end; step++) {
      let row0 = top + 0 * STRIDE_H + i32(ky) * DILATION_H;
      let rowInside0 = (row0 >= 0) & (row0 < i32(height));
      let rowStart0 = (image * height + u32(clamp(row0, 0, i32(height) - 1))) * rowWords + groupStart + word;
      let packed0_0 = x[rowStart0 + columnStart0];
      let packed0_1 = x[rowStart0 + columnStart1];
      let packed0_2 = x[rowStart0 + columnStart2];
      let packed0_3 = x[rowStart0 + columnStart3];
      let firstWeight = (block * steps + step) * ROW_LENGTH + lane;
      let packedW0 = weights[firstWeight + 0u];
      let packedW1 = weights[firstWeight + 4u];
      let packedW2 = weights[firstWeight + 8u];
      let packedW3 = weights[firstWeight + 12u];
      let packedW4 = weights[firstWeight + 16u];
      let packedW5 = weights[firstWeight + 20u];
      let packedW6 = weights[firstWeight + 24u];
      let packedW7 = weights[firstWeight + 28u];
      let packedW8 = weights[firstWeight + 32u];
      let packedW9 = weights[firstWeight + 36u];
      let packedW10 = weights[firstWeight + 40u];
      let packedW11 = weights[firstWeight + 44u];
      let x0_0 = unpackScaled(select(padding, packed0_0, rowInside0 & columnInside0));
      let x0_0x = quadSwapX(x0_0);
      let x0_0y = quadSwapY(x0_0);
      let x0_0d = quadSwapDiagonal(x0_0);
      let x0_1 = unpackScaled(select(padding, packed0_1, rowInside0 & columnInside1));
      let x0_1x = quadSwapX(x0_1);
      let x0_1y = quadSwapY(x0_1);
      let x0_1d = quadSwapDiagonal(x0_1);
      let x0_2 = unpackScaled(select(padding, packed0_2, rowInside0 & columnInside2));
      let x0_2x = quadSwapX(x0_2);
      let x0_2y = quadSwapY(x0_2);
      let x0_2d = quadSwapDiagonal(x0_2);
      let x0_3 = unpackScaled(select(padding, packed0_3, rowInside0 & columnInside3));
      let x0_3x = quadSwapX(x0_3);
      let x0_3y = quadSwapY(x0_3);
      let x0_3d = quadSwapDiagonal(x0_3);
      let w0_0 = unpackScaled(packedW0);
      let w1_0 = unpackScaled(packedW4);
      let w2_0 = unpackScaled(packedW8);
      acc0_0 += vec4<f32>(dot(x0_0, w0_0) + dot(x0_1, w1_0) + dot(x0_2, w2_0), dot(x0_0x, w0_0) + dot(x0_1x, w1_0) + dot(x0_2x, w2_0), dot(x0_0y, w0_0) + dot(x0_1y, w1_0) + dot(x0_2y, w2_0), dot(x0_0d, w0_0) + dot(x0_1d, w1_0) + dot(x0_2d, w2_0));
      acc1_0 += vec4<f32>(dot(x0_1, w0_0) + dot(x0_2, w1_0) + dot(x0_3, w2_0), dot(x0_1x, w0_0) + dot(x0_2x, w1_0) + dot(x0_3x, w2_0), dot(x0_1y, w0_0) + dot(x0_2y, w1_0) + dot(x0_3y, w2_0), dot(x0_1d, w0_0) + dot(x0_2d, w1_0) + dot(x0_3d, w2_0));
      let w0_1 = unpackScaled(packedW1);
      let w1_1 = unpackScaled(packedW5);
      let w2_1 = unpackScaled(packedW9);
      acc0_1 += vec4<f32>(dot(x0_0, w0_1) + dot(x0_1, w1_1) + dot(x0_2, w2_1), dot(x0_0x, w0_1) + dot(x0_1x, w1_1) + dot(x0_2x, w2_1), dot(x0_0y, w0_1) + dot(x0_1y, w1_1) + dot(x0_2y, w2_1), dot(x0_0d, w0_1) + dot(x0_1d, w1_1) + dot(x0_2d, w2_1));
      acc1_1 += vec4<f32>(dot(x0_1, w0_1) + dot(x0_2, w1_1) + dot(x0_3, w2_1), dot(x0_1x, w0_1) + dot(x0_2x, w1_1) + dot(x0_3x, w2_1), dot(x0_1y, w0_1) + dot(x0_2y, w1_1) + dot(x0_3y, w2_1), dot(x0_1d, w0_1) + dot(x0_2d, w1_1) + dot(x0_3d, w2_1));
      let w0_2 = unpackScaled(packedW2);
      let w1_2 = unpackScaled(packedW6);
      let w2_2 = unpackScaled(packedW10);
      acc0_2 += vec4<f32>(dot(x0_0, w0_2) + dot(x0_1, w1_2) + dot(x0_2, w2_2), dot(x0_0x, w0_2) + dot(x0_1x, w1_2) + dot(x0_2x, w2_2), dot(x0_0y, w0_2) + dot(x0_1y, w1_2) + dot(x0_2y, w2_2), dot(x0_0d, w0_2) + dot(x0_1d, w1_2) + dot(x0_2d, w2_2));
      acc1_2 += vec4<f32>(dot(x0_1, w0_2) + dot(x0_2, w1_2) + dot(x0_3, w2_2), dot(x0_1x, w0_2) + dot(x0_2x, w1_2) + dot(x0_3x, w2_2), dot(x0_1y, w0_2) + dot(x0_2y, w1_2) + dot(x0_3y, w2_2), dot(x0_1d, w0_2) + dot(x0_2d, w1_2) + dot(x0_3d, w2_2));
      let w0_3 = unpackScaled(packedW3);
      let w1_3 = unpackScaled(packedW7);
      let w2_3 = unpackScaled(packedW11);
      acc0_3 += vec4<f32>(dot(x0_0, w0_3) + dot(x0_1, w1_3) + dot(x0_2, w2_3), dot(x0_0x, w0_3) + dot(x0_1x, w1_3) + dot(x0_2x, w2_3), dot(x0_0y, w0_3) + dot(x0_1y, w1_3) + dot(x0_2y, w2_3), dot(x0_0d, w0_3) + dot(x0_1d, w1_3) + dot(x0_2d, w2_3));
      acc1_3 += vec4<f32>(dot(x0_1, w0_3) + dot(x0_2, w1_3) + dot(x0_3, w2_3), dot(x0_1x, w0_3) + dot(x0_2x, w1_3) + dot(x0_3x, w2_3), dot(x0_1y, w0_3) + dot(x0_2y, w1_3) + dot(x0_3y, w2_3), dot(x0_1d, w0_3) + dot(x0_2d, w1_3) + dot(x0_3d, w2_3));
      word++;
      if (word == groupInWords) {
        word = 0u;
        ky++;
      }
    }
  total0_0 += largeIntegersOf(acc0_0 * 0x1p-48);
  total0_1 += largeIntegersOf(acc0_1 * 0x1p-48);
  total0_2 += largeIntegersOf(acc0_2 * 0x1p-48);
  total0_3 += largeIntegersOf(acc0_3 * 0x1p-48);
  total1_0 += largeIntegersOf(acc1_0 * 0x1p-48);
  total1_1 += largeIntegersOf(acc1_1 * 0x1p-48);
  total1_2 += largeIntegersOf(acc1_2 * 0x1p-48);
  total1_3 += largeIntegersOf(acc1_3 * 0x1p-48);
  }

  var results = array<vec4<i32>, PATCH_H * PATCH_W * WORDS>(
    total0_0,
    total0_1,
    total0_2,
    total0_3,
    total1_0,
    total1_1,
    total1_2,
    total1_3,
  );

  let scale = 1u;

  let rows = PATCH_H / scale;
  let columns = PATCH_W / scale;
  for (var j = 0u; j < WORDS; j++) {
    let channels = channelsOf(firstWord + j);
    for (var r = 0u; r < rows; r++) {
    for (var c = 0u; c < columns; c++) {
      let acc = results[(r * columns + c) * WORDS + j];

      let own = ownPixel(acc, lane);
      let row = firstRow / scale + r;
      let column = firstColumn / scale + c;
      let mine = true;

      if (mine & (patchIndex < patches) & (row < layer.outHeight) & (column < layer.outWidth)) {
        store((image * layer.outHeight + row) * layer.outWidth + column, channels, own);
      }
    }
    }
  }
}
