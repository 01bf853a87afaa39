
// f32, 2×2 pixels × 4 channels an invocation.
const WORKGROUP_SIZE = 16u;
const PATCH_H = 2u;
const PATCH_W = 2u;
const STRIDE_H = 1;
const STRIDE_W = 1;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<u32>;

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


@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= layer.invocations) {
    return;
  }
  let height = layer.height;
  let width = layer.width;
  let outWords = layer.outWords;
  let rowWords = width * layer.inWords;
  let word = index % outWords;
  let at = index / outWords;
  let image = at / (layer.patchRows * layer.patchColumns);
  let firstRow = at / layer.patchColumns % layer.patchRows * PATCH_H;
  let firstColumn = at % layer.patchColumns * PATCH_W;
  let padding = bitcast<u32>(epilogue[outWords * RECORD + 0u].x);
  let top = i32(firstRow) * STRIDE_H - i32(layer.padTop);
  let left = i32(firstColumn) * STRIDE_W - i32(layer.padLeft);
      let row0 = top + 0;
      let rowInside0 = (row0 >= 0) & (row0 < i32(height));
      let rowStart0 = (image * height + u32(clamp(row0, 0, i32(height) - 1))) * rowWords + word;
      let row1 = top + 1;
      let rowInside1 = (row1 >= 0) & (row1 < i32(height));
      let rowStart1 = (image * height + u32(clamp(row1, 0, i32(height) - 1))) * rowWords + word;
      let row2 = top + 2;
      let rowInside2 = (row2 >= 0) & (row2 < i32(height));
      let rowStart2 = (image * height + u32(clamp(row2, 0, i32(height) - 1))) * rowWords + word;
      let row3 = top + 3;
      let rowInside3 = (row3 >= 0) & (row3 < i32(height));
      let rowStart3 = (image * height + u32(clamp(row3, 0, i32(height) - 1))) * rowWords + word;
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
  let packed0_0 = x[rowStart0 + columnStart0];
  let packed0_1 = x[rowStart0 + columnStart1];
  let packed0_2 = x[rowStart0 + columnStart2];
  let packed0_3 = x[rowStart0 + columnStart3];
  let packed1_0 = x[rowStart1 + columnStart0];
  let packed1_1 = x[rowStart1 + columnStart1];
  let packed1_2 = x[rowStart1 + columnStart2];
  let packed1_3 = x[rowStart1 + columnStart3];
  let packed2_0 = x[rowStart2 + columnStart0];
  let packed2_1 = x[rowStart2 + columnStart1];
  let packed2_2 = x[rowStart2 + columnStart2];
  let packed2_3 = x[rowStart2 + columnStart3];
  let packed3_0 = x[rowStart3 + columnStart0];
  let packed3_1 = x[rowStart3 + columnStart1];
  let packed3_2 = x[rowStart3 + columnStart2];
  let packed3_3 = x[rowStart3 + columnStart3];
  let packedW0 = weights[0u * outWords + word];
  let packedW1 = weights[1u * outWords + word];
  let packedW2 = weights[2u * outWords + word];
  let packedW3 = weights[3u * outWords + word];
  let packedW4 = weights[4u * outWords + word];
  let packedW5 = weights[5u * outWords + word];
  let packedW6 = weights[6u * outWords + word];
  let packedW7 = weights[7u * outWords + word];
  let packedW8 = weights[8u * outWords + word];
  let x0_0 = unpackScaled(select(padding, packed0_0, rowInside0 & columnInside0));
  let x0_1 = unpackScaled(select(padding, packed0_1, rowInside0 & columnInside1));
  let x0_2 = unpackScaled(select(padding, packed0_2, rowInside0 & columnInside2));
  let x0_3 = unpackScaled(select(padding, packed0_3, rowInside0 & columnInside3));
  let x1_0 = unpackScaled(select(padding, packed1_0, rowInside1 & columnInside0));
  let x1_1 = unpackScaled(select(padding, packed1_1, rowInside1 & columnInside1));
  let x1_2 = unpackScaled(select(padding, packed1_2, rowInside1 & columnInside2));
  let x1_3 = unpackScaled(select(padding, packed1_3, rowInside1 & columnInside3));
  let x2_0 = unpackScaled(select(padding, packed2_0, rowInside2 & columnInside0));
  let x2_1 = unpackScaled(select(padding, packed2_1, rowInside2 & columnInside1));
  let x2_2 = unpackScaled(select(padding, packed2_2, rowInside2 & columnInside2));
  let x2_3 = unpackScaled(select(padding, packed2_3, rowInside2 & columnInside3));
  let x3_0 = unpackScaled(select(padding, packed3_0, rowInside3 & columnInside0));
  let x3_1 = unpackScaled(select(padding, packed3_1, rowInside3 & columnInside1));
  let x3_2 = unpackScaled(select(padding, packed3_2, rowInside3 & columnInside2));
  let x3_3 = unpackScaled(select(padding, packed3_3, rowInside3 & columnInside3));
  let w0 = unpackScaled(packedW0);
  let w1 = unpackScaled(packedW1);
  let w2 = unpackScaled(packedW2);
  let w3 = unpackScaled(packedW3);
  let w4 = unpackScaled(packedW4);
  let w5 = unpackScaled(packedW5);
  let w6 = unpackScaled(packedW6);
  let w7 = unpackScaled(packedW7);
  let w8 = unpackScaled(packedW8);

  var results = array<vec4<i32>, PATCH_H * PATCH_W>(
    largeIntegersOf((x0_0 * w0 + x0_1 * w1 + x0_2 * w2 + x1_0 * w3 + x1_1 * w4 + x1_2 * w5 + x2_0 * w6 + x2_1 * w7 + x2_2 * w8) * 0x1p-48),
    largeIntegersOf((x0_1 * w0 + x0_2 * w1 + x0_3 * w2 + x1_1 * w3 + x1_2 * w4 + x1_3 * w5 + x2_1 * w6 + x2_2 * w7 + x2_3 * w8) * 0x1p-48),
    largeIntegersOf((x1_0 * w0 + x1_1 * w1 + x1_2 * w2 + x2_0 * w3 + x2_1 * w4 + x2_2 * w5 + x3_0 * w6 + x3_1 * w7 + x3_2 * w8) * 0x1p-48),
    largeIntegersOf((x1_1 * w0 + x1_2 * w1 + x1_3 * w2 + x2_1 * w3 + x2_2 * w4 + x2_3 * w5 + x3_1 * w6 + x3_2 * w7 + x3_3 * w8) * 0x1p-48),
  );
  let channels = channelsOf(word);
  for (var r = 0u; r < PATCH_H; r++) {
    for (var c = 0u; c < PATCH_W; c++) {
      let row = firstRow + r;
      let column = firstColumn + c;
      if ((row < layer.outHeight) & (column < layer.outWidth)) {
        store((image * layer.outHeight + row) * layer.outWidth + column, channels, results[r * PATCH_W + c]);
      }
    }
  }
}
