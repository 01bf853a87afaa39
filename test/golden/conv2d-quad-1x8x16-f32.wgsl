
enable subgroups;

// f32, 1×8 pixels a lane, 16 channels a quad.

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
const STRIDE_H = 1;
const STRIDE_W = 1;
const PAD_TOP = 1;
const PAD_LEFT = 1;
const DILATION_H = 1;
const DILATION_W = 1;

const GROUP_IN_WORDS = 8u;
const GROUP_OUT_WORDS = 16u;
const WORDS = 4u;
const STEPS = 24u;
const PATCH_H = 1u;
const PATCH_W = 8u;
const PATCH_ROWS = 8u;
const PATCH_COLUMNS = 1u;
const PATCH_GROUPS = (BATCH * PATCH_ROWS * PATCH_COLUMNS + 3u) / 4u;
const PATCHES = BATCH * PATCH_ROWS * PATCH_COLUMNS;
@group(0) @binding(0) var<storage, read> x: array<u32, BATCH * HEIGHT * WIDTH * IN_WORDS>;
@group(0) @binding(1) var<storage, read> weights: array<u32, STEPS * KERNEL_W * OUT_WORDS * 4u>;

const RECORD = 4u;
const LAYER_RECORD = OUT_WORDS * RECORD;
@group(0) @binding(2) var<storage, read> epilogue: array<vec4<i32>, LAYER_RECORD + 3u>;

@group(0) @binding(3) var<storage, read_write> y: array<u32, OUT_PIXELS * OUT_WORDS>;

struct Requantizer {
  limit: vec4<u32>,
  leftFactor: vec4<u32>,
  mantissaLow: vec4<u32>,
  mantissaHigh: vec4<u32>,
  rightShift: vec4<u32>,
  half: vec4<u32>,
  zeroPoint: vec4<i32>,
  lo: vec4<i32>,
  hi: vec4<i32>,
}

fn requantizerOf(limit: vec4<u32>, mantissa: vec4<u32>, fields: vec4<i32>) -> Requantizer {
  let exponent = extractBits(fields, 0u, 8u);
  let rightShift = vec4<u32>(max(exponent, vec4<i32>(0))) + 2u;
  return Requantizer(
    limit,
    vec4<u32>(1u) << vec4<u32>(max(-exponent, vec4<i32>(0))),
    mantissa & vec4<u32>(0xffffu),
    mantissa >> vec4<u32>(16u),
    rightShift,
    vec4<u32>(1u) << (rightShift - 1u),
    extractBits(fields, 8u, 8u),
    extractBits(fields, 16u, 8u),
    extractBits(fields, 24u, 8u),
  );
}

fn requantize(acc: vec4<i32>, r: Requantizer) -> vec4<i32> {
  // product = p2 · 2³² + (p1 mod 2¹⁶) · 2¹⁶ + (p0 mod 2¹⁶); p1 < 2³² since magnitude ≤ 2³¹ and mantissa < 2²⁴.
  let magnitude = min(bitcast<vec4<u32>>(abs(acc)), r.limit) * r.leftFactor;
  let low = magnitude & vec4<u32>(0xffffu);
  let high = magnitude >> vec4<u32>(16u);
  let p0 = low * r.mantissaLow;
  let p1 = high * r.mantissaLow + low * r.mantissaHigh + (p0 >> vec4<u32>(16u));
  let p2 = high * r.mantissaHigh + (p1 >> vec4<u32>(16u));

  // Bit 31 of the product and "any lower bit set" go below p2 (< 2²⁴); rounding at bit rightShift of that is exact.
  let bit31 = min(p1 & vec4<u32>(0x8000u), vec4<u32>(1u));
  let sticky = min((p1 & vec4<u32>(0x7fffu)) | (p0 & vec4<u32>(0xffffu)), vec4<u32>(1u));
  let folded = p2 * 4u + bit31 * 2u + sticky;
  let down = folded >> r.rightShift;
  let rest = folded & (r.half * 2u - 1u);
  let up = (rest > r.half) | ((rest == r.half) & ((down & vec4<u32>(1u)) != vec4<u32>()));
  let rounded = bitcast<vec4<i32>>(select(down, down + 1u, up));
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

  let limit = bitcast<vec4<u32>>(epilogue[record + 1u]);
  let mantissa = bitcast<vec4<u32>>(epilogue[record + 2u]);
  return Channels(word, epilogue[record], requantizerOf(limit, mantissa, epilogue[record + 3u]));

}

fn store(pixel: u32, channels: Channels, acc: vec4<i32>) {
  let index = pixel * OUT_WORDS + channels.word;
  let biased = acc + channels.bias;

  let q = requantize(biased, channels.requantizer);

  y[index] = pack4xI8(q);


}



const WORKGROUP_SIZE = 16u;
const GRID_COLUMNS = 2u;
const INVOCATIONS = 32u;

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



// Component r of a quad's accumulator belongs to channel lane ^ r.
fn inOrder(acc: vec4<i32>, lane: u32) -> vec4<i32> {
  let pairs = select(acc, acc.yxwz, (lane & 1u) != 0u);
  return select(pairs, pairs.zwxy, (lane & 2u) != 0u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  // Quads beyond the last repeat it and store nothing: shuffles want every lane.
  let index = min(invocationIndex(workgroup, local), INVOCATIONS - 4u + local % 4u);
  let lane = local % 4u;
  // Neighbouring quads take neighbouring patches with the same weights: those stay in the cache.
  let firstWord = index / 4u / PATCH_GROUPS * WORDS;
  let patchIndex = index / 4u % PATCH_GROUPS * 4u + lane;
  let at = min(patchIndex, PATCHES - 1u);
  let image = at / (PATCH_ROWS * PATCH_COLUMNS);
  let firstRow = at / PATCH_COLUMNS % PATCH_ROWS * PATCH_H;
  let firstColumn = at % PATCH_COLUMNS * PATCH_W;
  let groupStart = firstWord / GROUP_OUT_WORDS * GROUP_IN_WORDS;
  let padding = bitcast<u32>(epilogue[LAYER_RECORD].x);

  let top = i32(firstRow) * STRIDE_H - PAD_TOP;
  let left = i32(firstColumn) * STRIDE_W - PAD_LEFT;
  let column0 = left + 0;
  let columnInside0 = column0 >= 0 && column0 < i32(WIDTH);
  let columnStart0 = u32(clamp(column0, 0, i32(WIDTH) - 1)) * IN_WORDS;
  let column1 = left + 1;
  let columnInside1 = column1 >= 0 && column1 < i32(WIDTH);
  let columnStart1 = u32(clamp(column1, 0, i32(WIDTH) - 1)) * IN_WORDS;
  let column2 = left + 2;
  let columnInside2 = column2 >= 0 && column2 < i32(WIDTH);
  let columnStart2 = u32(clamp(column2, 0, i32(WIDTH) - 1)) * IN_WORDS;
  let column3 = left + 3;
  let columnInside3 = column3 >= 0 && column3 < i32(WIDTH);
  let columnStart3 = u32(clamp(column3, 0, i32(WIDTH) - 1)) * IN_WORDS;
  let column4 = left + 4;
  let columnInside4 = column4 >= 0 && column4 < i32(WIDTH);
  let columnStart4 = u32(clamp(column4, 0, i32(WIDTH) - 1)) * IN_WORDS;
  let column5 = left + 5;
  let columnInside5 = column5 >= 0 && column5 < i32(WIDTH);
  let columnStart5 = u32(clamp(column5, 0, i32(WIDTH) - 1)) * IN_WORDS;
  let column6 = left + 6;
  let columnInside6 = column6 >= 0 && column6 < i32(WIDTH);
  let columnStart6 = u32(clamp(column6, 0, i32(WIDTH) - 1)) * IN_WORDS;
  let column7 = left + 7;
  let columnInside7 = column7 >= 0 && column7 < i32(WIDTH);
  let columnStart7 = u32(clamp(column7, 0, i32(WIDTH) - 1)) * IN_WORDS;
  let column8 = left + 8;
  let columnInside8 = column8 >= 0 && column8 < i32(WIDTH);
  let columnStart8 = u32(clamp(column8, 0, i32(WIDTH) - 1)) * IN_WORDS;
  let column9 = left + 9;
  let columnInside9 = column9 >= 0 && column9 < i32(WIDTH);
  let columnStart9 = u32(clamp(column9, 0, i32(WIDTH) - 1)) * IN_WORDS;

    let first = 0u;
    let end = STEPS;

  var acc0_0 = vec4<f32>();
  var acc0_1 = vec4<f32>();
  var acc0_2 = vec4<f32>();
  var acc0_3 = vec4<f32>();
  var acc1_0 = vec4<f32>();
  var acc1_1 = vec4<f32>();
  var acc1_2 = vec4<f32>();
  var acc1_3 = vec4<f32>();
  var acc2_0 = vec4<f32>();
  var acc2_1 = vec4<f32>();
  var acc2_2 = vec4<f32>();
  var acc2_3 = vec4<f32>();
  var acc3_0 = vec4<f32>();
  var acc3_1 = vec4<f32>();
  var acc3_2 = vec4<f32>();
  var acc3_3 = vec4<f32>();
  var acc4_0 = vec4<f32>();
  var acc4_1 = vec4<f32>();
  var acc4_2 = vec4<f32>();
  var acc4_3 = vec4<f32>();
  var acc5_0 = vec4<f32>();
  var acc5_1 = vec4<f32>();
  var acc5_2 = vec4<f32>();
  var acc5_3 = vec4<f32>();
  var acc6_0 = vec4<f32>();
  var acc6_1 = vec4<f32>();
  var acc6_2 = vec4<f32>();
  var acc6_3 = vec4<f32>();
  var acc7_0 = vec4<f32>();
  var acc7_1 = vec4<f32>();
  var acc7_2 = vec4<f32>();
  var acc7_3 = vec4<f32>();
  var ky = first / GROUP_IN_WORDS;
  var word = first % GROUP_IN_WORDS;
  for (var step = first; step < end; step++) {
    let row0 = top + 0 * STRIDE_H + i32(ky) * DILATION_H;
    let rowInside0 = row0 >= 0 && row0 < i32(HEIGHT);
    let rowStart0 = (image * HEIGHT + u32(clamp(row0, 0, i32(HEIGHT) - 1))) * (WIDTH * IN_WORDS) + groupStart + word;
    let x0_0 = unpackInput(select(padding, x[rowStart0 + columnStart0], rowInside0 && columnInside0));
    let x0_1 = unpackInput(select(padding, x[rowStart0 + columnStart1], rowInside0 && columnInside1));
    let x0_2 = unpackInput(select(padding, x[rowStart0 + columnStart2], rowInside0 && columnInside2));
    let x0_3 = unpackInput(select(padding, x[rowStart0 + columnStart3], rowInside0 && columnInside3));
    let x0_4 = unpackInput(select(padding, x[rowStart0 + columnStart4], rowInside0 && columnInside4));
    let x0_5 = unpackInput(select(padding, x[rowStart0 + columnStart5], rowInside0 && columnInside5));
    let x0_6 = unpackInput(select(padding, x[rowStart0 + columnStart6], rowInside0 && columnInside6));
    let x0_7 = unpackInput(select(padding, x[rowStart0 + columnStart7], rowInside0 && columnInside7));
    let x0_8 = unpackInput(select(padding, x[rowStart0 + columnStart8], rowInside0 && columnInside8));
    let x0_9 = unpackInput(select(padding, x[rowStart0 + columnStart9], rowInside0 && columnInside9));
    let k = ky * (KERNEL_W * GROUP_IN_WORDS) + word;
    let w0_0 = unpackInput(weights[((k + 0u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 0u) * 4u + lane]);
    let w0_0x = quadSwapX(w0_0);
    let w0_0y = quadSwapY(w0_0);
    let w0_0d = quadSwapDiagonal(w0_0);
    acc0_0 += vec4<f32>(dot(x0_0, w0_0), dot(x0_0, w0_0x), dot(x0_0, w0_0y), dot(x0_0, w0_0d));
    acc1_0 += vec4<f32>(dot(x0_1, w0_0), dot(x0_1, w0_0x), dot(x0_1, w0_0y), dot(x0_1, w0_0d));
    acc2_0 += vec4<f32>(dot(x0_2, w0_0), dot(x0_2, w0_0x), dot(x0_2, w0_0y), dot(x0_2, w0_0d));
    acc3_0 += vec4<f32>(dot(x0_3, w0_0), dot(x0_3, w0_0x), dot(x0_3, w0_0y), dot(x0_3, w0_0d));
    acc4_0 += vec4<f32>(dot(x0_4, w0_0), dot(x0_4, w0_0x), dot(x0_4, w0_0y), dot(x0_4, w0_0d));
    acc5_0 += vec4<f32>(dot(x0_5, w0_0), dot(x0_5, w0_0x), dot(x0_5, w0_0y), dot(x0_5, w0_0d));
    acc6_0 += vec4<f32>(dot(x0_6, w0_0), dot(x0_6, w0_0x), dot(x0_6, w0_0y), dot(x0_6, w0_0d));
    acc7_0 += vec4<f32>(dot(x0_7, w0_0), dot(x0_7, w0_0x), dot(x0_7, w0_0y), dot(x0_7, w0_0d));
    let w0_1 = unpackInput(weights[((k + 0u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 1u) * 4u + lane]);
    let w0_1x = quadSwapX(w0_1);
    let w0_1y = quadSwapY(w0_1);
    let w0_1d = quadSwapDiagonal(w0_1);
    acc0_1 += vec4<f32>(dot(x0_0, w0_1), dot(x0_0, w0_1x), dot(x0_0, w0_1y), dot(x0_0, w0_1d));
    acc1_1 += vec4<f32>(dot(x0_1, w0_1), dot(x0_1, w0_1x), dot(x0_1, w0_1y), dot(x0_1, w0_1d));
    acc2_1 += vec4<f32>(dot(x0_2, w0_1), dot(x0_2, w0_1x), dot(x0_2, w0_1y), dot(x0_2, w0_1d));
    acc3_1 += vec4<f32>(dot(x0_3, w0_1), dot(x0_3, w0_1x), dot(x0_3, w0_1y), dot(x0_3, w0_1d));
    acc4_1 += vec4<f32>(dot(x0_4, w0_1), dot(x0_4, w0_1x), dot(x0_4, w0_1y), dot(x0_4, w0_1d));
    acc5_1 += vec4<f32>(dot(x0_5, w0_1), dot(x0_5, w0_1x), dot(x0_5, w0_1y), dot(x0_5, w0_1d));
    acc6_1 += vec4<f32>(dot(x0_6, w0_1), dot(x0_6, w0_1x), dot(x0_6, w0_1y), dot(x0_6, w0_1d));
    acc7_1 += vec4<f32>(dot(x0_7, w0_1), dot(x0_7, w0_1x), dot(x0_7, w0_1y), dot(x0_7, w0_1d));
    let w0_2 = unpackInput(weights[((k + 0u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 2u) * 4u + lane]);
    let w0_2x = quadSwapX(w0_2);
    let w0_2y = quadSwapY(w0_2);
    let w0_2d = quadSwapDiagonal(w0_2);
    acc0_2 += vec4<f32>(dot(x0_0, w0_2), dot(x0_0, w0_2x), dot(x0_0, w0_2y), dot(x0_0, w0_2d));
    acc1_2 += vec4<f32>(dot(x0_1, w0_2), dot(x0_1, w0_2x), dot(x0_1, w0_2y), dot(x0_1, w0_2d));
    acc2_2 += vec4<f32>(dot(x0_2, w0_2), dot(x0_2, w0_2x), dot(x0_2, w0_2y), dot(x0_2, w0_2d));
    acc3_2 += vec4<f32>(dot(x0_3, w0_2), dot(x0_3, w0_2x), dot(x0_3, w0_2y), dot(x0_3, w0_2d));
    acc4_2 += vec4<f32>(dot(x0_4, w0_2), dot(x0_4, w0_2x), dot(x0_4, w0_2y), dot(x0_4, w0_2d));
    acc5_2 += vec4<f32>(dot(x0_5, w0_2), dot(x0_5, w0_2x), dot(x0_5, w0_2y), dot(x0_5, w0_2d));
    acc6_2 += vec4<f32>(dot(x0_6, w0_2), dot(x0_6, w0_2x), dot(x0_6, w0_2y), dot(x0_6, w0_2d));
    acc7_2 += vec4<f32>(dot(x0_7, w0_2), dot(x0_7, w0_2x), dot(x0_7, w0_2y), dot(x0_7, w0_2d));
    let w0_3 = unpackInput(weights[((k + 0u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 3u) * 4u + lane]);
    let w0_3x = quadSwapX(w0_3);
    let w0_3y = quadSwapY(w0_3);
    let w0_3d = quadSwapDiagonal(w0_3);
    acc0_3 += vec4<f32>(dot(x0_0, w0_3), dot(x0_0, w0_3x), dot(x0_0, w0_3y), dot(x0_0, w0_3d));
    acc1_3 += vec4<f32>(dot(x0_1, w0_3), dot(x0_1, w0_3x), dot(x0_1, w0_3y), dot(x0_1, w0_3d));
    acc2_3 += vec4<f32>(dot(x0_2, w0_3), dot(x0_2, w0_3x), dot(x0_2, w0_3y), dot(x0_2, w0_3d));
    acc3_3 += vec4<f32>(dot(x0_3, w0_3), dot(x0_3, w0_3x), dot(x0_3, w0_3y), dot(x0_3, w0_3d));
    acc4_3 += vec4<f32>(dot(x0_4, w0_3), dot(x0_4, w0_3x), dot(x0_4, w0_3y), dot(x0_4, w0_3d));
    acc5_3 += vec4<f32>(dot(x0_5, w0_3), dot(x0_5, w0_3x), dot(x0_5, w0_3y), dot(x0_5, w0_3d));
    acc6_3 += vec4<f32>(dot(x0_6, w0_3), dot(x0_6, w0_3x), dot(x0_6, w0_3y), dot(x0_6, w0_3d));
    acc7_3 += vec4<f32>(dot(x0_7, w0_3), dot(x0_7, w0_3x), dot(x0_7, w0_3y), dot(x0_7, w0_3d));
    let w1_0 = unpackInput(weights[((k + 1u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 0u) * 4u + lane]);
    let w1_0x = quadSwapX(w1_0);
    let w1_0y = quadSwapY(w1_0);
    let w1_0d = quadSwapDiagonal(w1_0);
    acc0_0 += vec4<f32>(dot(x0_1, w1_0), dot(x0_1, w1_0x), dot(x0_1, w1_0y), dot(x0_1, w1_0d));
    acc1_0 += vec4<f32>(dot(x0_2, w1_0), dot(x0_2, w1_0x), dot(x0_2, w1_0y), dot(x0_2, w1_0d));
    acc2_0 += vec4<f32>(dot(x0_3, w1_0), dot(x0_3, w1_0x), dot(x0_3, w1_0y), dot(x0_3, w1_0d));
    acc3_0 += vec4<f32>(dot(x0_4, w1_0), dot(x0_4, w1_0x), dot(x0_4, w1_0y), dot(x0_4, w1_0d));
    acc4_0 += vec4<f32>(dot(x0_5, w1_0), dot(x0_5, w1_0x), dot(x0_5, w1_0y), dot(x0_5, w1_0d));
    acc5_0 += vec4<f32>(dot(x0_6, w1_0), dot(x0_6, w1_0x), dot(x0_6, w1_0y), dot(x0_6, w1_0d));
    acc6_0 += vec4<f32>(dot(x0_7, w1_0), dot(x0_7, w1_0x), dot(x0_7, w1_0y), dot(x0_7, w1_0d));
    acc7_0 += vec4<f32>(dot(x0_8, w1_0), dot(x0_8, w1_0x), dot(x0_8, w1_0y), dot(x0_8, w1_0d));
    let w1_1 = unpackInput(weights[((k + 1u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 1u) * 4u + lane]);
    let w1_1x = quadSwapX(w1_1);
    let w1_1y = quadSwapY(w1_1);
    let w1_1d = quadSwapDiagonal(w1_1);
    acc0_1 += vec4<f32>(dot(x0_1, w1_1), dot(x0_1, w1_1x), dot(x0_1, w1_1y), dot(x0_1, w1_1d));
    acc1_1 += vec4<f32>(dot(x0_2, w1_1), dot(x0_2, w1_1x), dot(x0_2, w1_1y), dot(x0_2, w1_1d));
    acc2_1 += vec4<f32>(dot(x0_3, w1_1), dot(x0_3, w1_1x), dot(x0_3, w1_1y), dot(x0_3, w1_1d));
    acc3_1 += vec4<f32>(dot(x0_4, w1_1), dot(x0_4, w1_1x), dot(x0_4, w1_1y), dot(x0_4, w1_1d));
    acc4_1 += vec4<f32>(dot(x0_5, w1_1), dot(x0_5, w1_1x), dot(x0_5, w1_1y), dot(x0_5, w1_1d));
    acc5_1 += vec4<f32>(dot(x0_6, w1_1), dot(x0_6, w1_1x), dot(x0_6, w1_1y), dot(x0_6, w1_1d));
    acc6_1 += vec4<f32>(dot(x0_7, w1_1), dot(x0_7, w1_1x), dot(x0_7, w1_1y), dot(x0_7, w1_1d));
    acc7_1 += vec4<f32>(dot(x0_8, w1_1), dot(x0_8, w1_1x), dot(x0_8, w1_1y), dot(x0_8, w1_1d));
    let w1_2 = unpackInput(weights[((k + 1u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 2u) * 4u + lane]);
    let w1_2x = quadSwapX(w1_2);
    let w1_2y = quadSwapY(w1_2);
    let w1_2d = quadSwapDiagonal(w1_2);
    acc0_2 += vec4<f32>(dot(x0_1, w1_2), dot(x0_1, w1_2x), dot(x0_1, w1_2y), dot(x0_1, w1_2d));
    acc1_2 += vec4<f32>(dot(x0_2, w1_2), dot(x0_2, w1_2x), dot(x0_2, w1_2y), dot(x0_2, w1_2d));
    acc2_2 += vec4<f32>(dot(x0_3, w1_2), dot(x0_3, w1_2x), dot(x0_3, w1_2y), dot(x0_3, w1_2d));
    acc3_2 += vec4<f32>(dot(x0_4, w1_2), dot(x0_4, w1_2x), dot(x0_4, w1_2y), dot(x0_4, w1_2d));
    acc4_2 += vec4<f32>(dot(x0_5, w1_2), dot(x0_5, w1_2x), dot(x0_5, w1_2y), dot(x0_5, w1_2d));
    acc5_2 += vec4<f32>(dot(x0_6, w1_2), dot(x0_6, w1_2x), dot(x0_6, w1_2y), dot(x0_6, w1_2d));
    acc6_2 += vec4<f32>(dot(x0_7, w1_2), dot(x0_7, w1_2x), dot(x0_7, w1_2y), dot(x0_7, w1_2d));
    acc7_2 += vec4<f32>(dot(x0_8, w1_2), dot(x0_8, w1_2x), dot(x0_8, w1_2y), dot(x0_8, w1_2d));
    let w1_3 = unpackInput(weights[((k + 1u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 3u) * 4u + lane]);
    let w1_3x = quadSwapX(w1_3);
    let w1_3y = quadSwapY(w1_3);
    let w1_3d = quadSwapDiagonal(w1_3);
    acc0_3 += vec4<f32>(dot(x0_1, w1_3), dot(x0_1, w1_3x), dot(x0_1, w1_3y), dot(x0_1, w1_3d));
    acc1_3 += vec4<f32>(dot(x0_2, w1_3), dot(x0_2, w1_3x), dot(x0_2, w1_3y), dot(x0_2, w1_3d));
    acc2_3 += vec4<f32>(dot(x0_3, w1_3), dot(x0_3, w1_3x), dot(x0_3, w1_3y), dot(x0_3, w1_3d));
    acc3_3 += vec4<f32>(dot(x0_4, w1_3), dot(x0_4, w1_3x), dot(x0_4, w1_3y), dot(x0_4, w1_3d));
    acc4_3 += vec4<f32>(dot(x0_5, w1_3), dot(x0_5, w1_3x), dot(x0_5, w1_3y), dot(x0_5, w1_3d));
    acc5_3 += vec4<f32>(dot(x0_6, w1_3), dot(x0_6, w1_3x), dot(x0_6, w1_3y), dot(x0_6, w1_3d));
    acc6_3 += vec4<f32>(dot(x0_7, w1_3), dot(x0_7, w1_3x), dot(x0_7, w1_3y), dot(x0_7, w1_3d));
    acc7_3 += vec4<f32>(dot(x0_8, w1_3), dot(x0_8, w1_3x), dot(x0_8, w1_3y), dot(x0_8, w1_3d));
    let w2_0 = unpackInput(weights[((k + 2u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 0u) * 4u + lane]);
    let w2_0x = quadSwapX(w2_0);
    let w2_0y = quadSwapY(w2_0);
    let w2_0d = quadSwapDiagonal(w2_0);
    acc0_0 += vec4<f32>(dot(x0_2, w2_0), dot(x0_2, w2_0x), dot(x0_2, w2_0y), dot(x0_2, w2_0d));
    acc1_0 += vec4<f32>(dot(x0_3, w2_0), dot(x0_3, w2_0x), dot(x0_3, w2_0y), dot(x0_3, w2_0d));
    acc2_0 += vec4<f32>(dot(x0_4, w2_0), dot(x0_4, w2_0x), dot(x0_4, w2_0y), dot(x0_4, w2_0d));
    acc3_0 += vec4<f32>(dot(x0_5, w2_0), dot(x0_5, w2_0x), dot(x0_5, w2_0y), dot(x0_5, w2_0d));
    acc4_0 += vec4<f32>(dot(x0_6, w2_0), dot(x0_6, w2_0x), dot(x0_6, w2_0y), dot(x0_6, w2_0d));
    acc5_0 += vec4<f32>(dot(x0_7, w2_0), dot(x0_7, w2_0x), dot(x0_7, w2_0y), dot(x0_7, w2_0d));
    acc6_0 += vec4<f32>(dot(x0_8, w2_0), dot(x0_8, w2_0x), dot(x0_8, w2_0y), dot(x0_8, w2_0d));
    acc7_0 += vec4<f32>(dot(x0_9, w2_0), dot(x0_9, w2_0x), dot(x0_9, w2_0y), dot(x0_9, w2_0d));
    let w2_1 = unpackInput(weights[((k + 2u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 1u) * 4u + lane]);
    let w2_1x = quadSwapX(w2_1);
    let w2_1y = quadSwapY(w2_1);
    let w2_1d = quadSwapDiagonal(w2_1);
    acc0_1 += vec4<f32>(dot(x0_2, w2_1), dot(x0_2, w2_1x), dot(x0_2, w2_1y), dot(x0_2, w2_1d));
    acc1_1 += vec4<f32>(dot(x0_3, w2_1), dot(x0_3, w2_1x), dot(x0_3, w2_1y), dot(x0_3, w2_1d));
    acc2_1 += vec4<f32>(dot(x0_4, w2_1), dot(x0_4, w2_1x), dot(x0_4, w2_1y), dot(x0_4, w2_1d));
    acc3_1 += vec4<f32>(dot(x0_5, w2_1), dot(x0_5, w2_1x), dot(x0_5, w2_1y), dot(x0_5, w2_1d));
    acc4_1 += vec4<f32>(dot(x0_6, w2_1), dot(x0_6, w2_1x), dot(x0_6, w2_1y), dot(x0_6, w2_1d));
    acc5_1 += vec4<f32>(dot(x0_7, w2_1), dot(x0_7, w2_1x), dot(x0_7, w2_1y), dot(x0_7, w2_1d));
    acc6_1 += vec4<f32>(dot(x0_8, w2_1), dot(x0_8, w2_1x), dot(x0_8, w2_1y), dot(x0_8, w2_1d));
    acc7_1 += vec4<f32>(dot(x0_9, w2_1), dot(x0_9, w2_1x), dot(x0_9, w2_1y), dot(x0_9, w2_1d));
    let w2_2 = unpackInput(weights[((k + 2u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 2u) * 4u + lane]);
    let w2_2x = quadSwapX(w2_2);
    let w2_2y = quadSwapY(w2_2);
    let w2_2d = quadSwapDiagonal(w2_2);
    acc0_2 += vec4<f32>(dot(x0_2, w2_2), dot(x0_2, w2_2x), dot(x0_2, w2_2y), dot(x0_2, w2_2d));
    acc1_2 += vec4<f32>(dot(x0_3, w2_2), dot(x0_3, w2_2x), dot(x0_3, w2_2y), dot(x0_3, w2_2d));
    acc2_2 += vec4<f32>(dot(x0_4, w2_2), dot(x0_4, w2_2x), dot(x0_4, w2_2y), dot(x0_4, w2_2d));
    acc3_2 += vec4<f32>(dot(x0_5, w2_2), dot(x0_5, w2_2x), dot(x0_5, w2_2y), dot(x0_5, w2_2d));
    acc4_2 += vec4<f32>(dot(x0_6, w2_2), dot(x0_6, w2_2x), dot(x0_6, w2_2y), dot(x0_6, w2_2d));
    acc5_2 += vec4<f32>(dot(x0_7, w2_2), dot(x0_7, w2_2x), dot(x0_7, w2_2y), dot(x0_7, w2_2d));
    acc6_2 += vec4<f32>(dot(x0_8, w2_2), dot(x0_8, w2_2x), dot(x0_8, w2_2y), dot(x0_8, w2_2d));
    acc7_2 += vec4<f32>(dot(x0_9, w2_2), dot(x0_9, w2_2x), dot(x0_9, w2_2y), dot(x0_9, w2_2d));
    let w2_3 = unpackInput(weights[((k + 2u * GROUP_IN_WORDS) * OUT_WORDS + firstWord + 3u) * 4u + lane]);
    let w2_3x = quadSwapX(w2_3);
    let w2_3y = quadSwapY(w2_3);
    let w2_3d = quadSwapDiagonal(w2_3);
    acc0_3 += vec4<f32>(dot(x0_2, w2_3), dot(x0_2, w2_3x), dot(x0_2, w2_3y), dot(x0_2, w2_3d));
    acc1_3 += vec4<f32>(dot(x0_3, w2_3), dot(x0_3, w2_3x), dot(x0_3, w2_3y), dot(x0_3, w2_3d));
    acc2_3 += vec4<f32>(dot(x0_4, w2_3), dot(x0_4, w2_3x), dot(x0_4, w2_3y), dot(x0_4, w2_3d));
    acc3_3 += vec4<f32>(dot(x0_5, w2_3), dot(x0_5, w2_3x), dot(x0_5, w2_3y), dot(x0_5, w2_3d));
    acc4_3 += vec4<f32>(dot(x0_6, w2_3), dot(x0_6, w2_3x), dot(x0_6, w2_3y), dot(x0_6, w2_3d));
    acc5_3 += vec4<f32>(dot(x0_7, w2_3), dot(x0_7, w2_3x), dot(x0_7, w2_3y), dot(x0_7, w2_3d));
    acc6_3 += vec4<f32>(dot(x0_8, w2_3), dot(x0_8, w2_3x), dot(x0_8, w2_3y), dot(x0_8, w2_3d));
    acc7_3 += vec4<f32>(dot(x0_9, w2_3), dot(x0_9, w2_3x), dot(x0_9, w2_3y), dot(x0_9, w2_3d));
    word++;
    if (word == GROUP_IN_WORDS) {
      word = 0u;
      ky++;
    }
  }


  const ROWS = PATCH_H / 1u;
  const COLUMNS = PATCH_W / 1u;
  var results = array<vec4<i32>, ROWS * COLUMNS * WORDS>(
    vec4<i32>(acc0_0),
    vec4<i32>(acc0_1),
    vec4<i32>(acc0_2),
    vec4<i32>(acc0_3),
    vec4<i32>(acc1_0),
    vec4<i32>(acc1_1),
    vec4<i32>(acc1_2),
    vec4<i32>(acc1_3),
    vec4<i32>(acc2_0),
    vec4<i32>(acc2_1),
    vec4<i32>(acc2_2),
    vec4<i32>(acc2_3),
    vec4<i32>(acc3_0),
    vec4<i32>(acc3_1),
    vec4<i32>(acc3_2),
    vec4<i32>(acc3_3),
    vec4<i32>(acc4_0),
    vec4<i32>(acc4_1),
    vec4<i32>(acc4_2),
    vec4<i32>(acc4_3),
    vec4<i32>(acc5_0),
    vec4<i32>(acc5_1),
    vec4<i32>(acc5_2),
    vec4<i32>(acc5_3),
    vec4<i32>(acc6_0),
    vec4<i32>(acc6_1),
    vec4<i32>(acc6_2),
    vec4<i32>(acc6_3),
    vec4<i32>(acc7_0),
    vec4<i32>(acc7_1),
    vec4<i32>(acc7_2),
    vec4<i32>(acc7_3),
  );
  for (var j = 0u; j < WORDS; j++) {
    let channels = channelsOf(firstWord + j);
    for (var p = 0u; p < ROWS * COLUMNS; p++) {
      let row = firstRow / 1u + p / COLUMNS;
      let column = firstColumn / 1u + p % COLUMNS;
      if (patchIndex < PATCHES && row < OUT_HEIGHT && column < OUT_WIDTH) {
        store((image * OUT_HEIGHT + row) * OUT_WIDTH + column, channels, inOrder(results[p * WORDS + j], lane));
      }
    }
  }
}
