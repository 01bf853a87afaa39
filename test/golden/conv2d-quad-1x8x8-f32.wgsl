
enable subgroups;

// f32, 1×8 pixels a lane, 8 channels a quad.
const WORKGROUP_SIZE = 16u;
const WORDS = 2u;
const PATCH_H = 1u;
const PATCH_W = 8u;
const STRIDE_H = 1;
const STRIDE_W = 1;
const DILATION_H = 1;
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
  let column4 = left + 4;
  let columnInside4 = (column4 >= 0) & (column4 < i32(width));
  let columnStart4 = u32(clamp(column4, 0, i32(width) - 1)) * layer.inWords;
  let column5 = left + 5;
  let columnInside5 = (column5 >= 0) & (column5 < i32(width));
  let columnStart5 = u32(clamp(column5, 0, i32(width) - 1)) * layer.inWords;
  let column6 = left + 6;
  let columnInside6 = (column6 >= 0) & (column6 < i32(width));
  let columnStart6 = u32(clamp(column6, 0, i32(width) - 1)) * layer.inWords;
  let column7 = left + 7;
  let columnInside7 = (column7 >= 0) & (column7 < i32(width));
  let columnStart7 = u32(clamp(column7, 0, i32(width) - 1)) * layer.inWords;

  var total0_0 = vec4<i32>();
  var total0_1 = vec4<i32>();
  var total1_0 = vec4<i32>();
  var total1_1 = vec4<i32>();
  var total2_0 = vec4<i32>();
  var total2_1 = vec4<i32>();
  var total3_0 = vec4<i32>();
  var total3_1 = vec4<i32>();
  var total4_0 = vec4<i32>();
  var total4_1 = vec4<i32>();
  var total5_0 = vec4<i32>();
  var total5_1 = vec4<i32>();
  var total6_0 = vec4<i32>();
  var total6_1 = vec4<i32>();
  var total7_0 = vec4<i32>();
  var total7_1 = vec4<i32>();
  for (var first = 0u; first < steps; first += layer.flushSteps) {
    let end = min(first + layer.flushSteps, steps);
  var acc0_0 = vec4<f32>();
  var acc0_1 = vec4<f32>();
  var acc1_0 = vec4<f32>();
  var acc1_1 = vec4<f32>();
  var acc2_0 = vec4<f32>();
  var acc2_1 = vec4<f32>();
  var acc3_0 = vec4<f32>();
  var acc3_1 = vec4<f32>();
  var acc4_0 = vec4<f32>();
  var acc4_1 = vec4<f32>();
  var acc5_0 = vec4<f32>();
  var acc5_1 = vec4<f32>();
  var acc6_0 = vec4<f32>();
  var acc6_1 = vec4<f32>();
  var acc7_0 = vec4<f32>();
  var acc7_1 = vec4<f32>();

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
      let packed0_4 = x[rowStart0 + columnStart4];
      let packed0_5 = x[rowStart0 + columnStart5];
      let packed0_6 = x[rowStart0 + columnStart6];
      let packed0_7 = x[rowStart0 + columnStart7];
      let firstWeight = (block * steps + step) * ROW_LENGTH + lane;
      let packedW0 = weights[firstWeight + 0u];
      let packedW1 = weights[firstWeight + 4u];
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
      let x0_4 = unpackScaled(select(padding, packed0_4, rowInside0 & columnInside4));
      let x0_4x = quadSwapX(x0_4);
      let x0_4y = quadSwapY(x0_4);
      let x0_4d = quadSwapDiagonal(x0_4);
      let x0_5 = unpackScaled(select(padding, packed0_5, rowInside0 & columnInside5));
      let x0_5x = quadSwapX(x0_5);
      let x0_5y = quadSwapY(x0_5);
      let x0_5d = quadSwapDiagonal(x0_5);
      let x0_6 = unpackScaled(select(padding, packed0_6, rowInside0 & columnInside6));
      let x0_6x = quadSwapX(x0_6);
      let x0_6y = quadSwapY(x0_6);
      let x0_6d = quadSwapDiagonal(x0_6);
      let x0_7 = unpackScaled(select(padding, packed0_7, rowInside0 & columnInside7));
      let x0_7x = quadSwapX(x0_7);
      let x0_7y = quadSwapY(x0_7);
      let x0_7d = quadSwapDiagonal(x0_7);
      let w0_0 = unpackScaled(packedW0);
      acc0_0 += vec4<f32>(dot(x0_0, w0_0), dot(x0_0x, w0_0), dot(x0_0y, w0_0), dot(x0_0d, w0_0));
      acc1_0 += vec4<f32>(dot(x0_1, w0_0), dot(x0_1x, w0_0), dot(x0_1y, w0_0), dot(x0_1d, w0_0));
      acc2_0 += vec4<f32>(dot(x0_2, w0_0), dot(x0_2x, w0_0), dot(x0_2y, w0_0), dot(x0_2d, w0_0));
      acc3_0 += vec4<f32>(dot(x0_3, w0_0), dot(x0_3x, w0_0), dot(x0_3y, w0_0), dot(x0_3d, w0_0));
      acc4_0 += vec4<f32>(dot(x0_4, w0_0), dot(x0_4x, w0_0), dot(x0_4y, w0_0), dot(x0_4d, w0_0));
      acc5_0 += vec4<f32>(dot(x0_5, w0_0), dot(x0_5x, w0_0), dot(x0_5y, w0_0), dot(x0_5d, w0_0));
      acc6_0 += vec4<f32>(dot(x0_6, w0_0), dot(x0_6x, w0_0), dot(x0_6y, w0_0), dot(x0_6d, w0_0));
      acc7_0 += vec4<f32>(dot(x0_7, w0_0), dot(x0_7x, w0_0), dot(x0_7y, w0_0), dot(x0_7d, w0_0));
      let w0_1 = unpackScaled(packedW1);
      acc0_1 += vec4<f32>(dot(x0_0, w0_1), dot(x0_0x, w0_1), dot(x0_0y, w0_1), dot(x0_0d, w0_1));
      acc1_1 += vec4<f32>(dot(x0_1, w0_1), dot(x0_1x, w0_1), dot(x0_1y, w0_1), dot(x0_1d, w0_1));
      acc2_1 += vec4<f32>(dot(x0_2, w0_1), dot(x0_2x, w0_1), dot(x0_2y, w0_1), dot(x0_2d, w0_1));
      acc3_1 += vec4<f32>(dot(x0_3, w0_1), dot(x0_3x, w0_1), dot(x0_3y, w0_1), dot(x0_3d, w0_1));
      acc4_1 += vec4<f32>(dot(x0_4, w0_1), dot(x0_4x, w0_1), dot(x0_4y, w0_1), dot(x0_4d, w0_1));
      acc5_1 += vec4<f32>(dot(x0_5, w0_1), dot(x0_5x, w0_1), dot(x0_5y, w0_1), dot(x0_5d, w0_1));
      acc6_1 += vec4<f32>(dot(x0_6, w0_1), dot(x0_6x, w0_1), dot(x0_6y, w0_1), dot(x0_6d, w0_1));
      acc7_1 += vec4<f32>(dot(x0_7, w0_1), dot(x0_7x, w0_1), dot(x0_7y, w0_1), dot(x0_7d, w0_1));
      word++;
      if (word == groupInWords) {
        word = 0u;
        ky++;
      }
    }
  total0_0 += largeIntegersOf(acc0_0 * 0x1p-48);
  total0_1 += largeIntegersOf(acc0_1 * 0x1p-48);
  total1_0 += largeIntegersOf(acc1_0 * 0x1p-48);
  total1_1 += largeIntegersOf(acc1_1 * 0x1p-48);
  total2_0 += largeIntegersOf(acc2_0 * 0x1p-48);
  total2_1 += largeIntegersOf(acc2_1 * 0x1p-48);
  total3_0 += largeIntegersOf(acc3_0 * 0x1p-48);
  total3_1 += largeIntegersOf(acc3_1 * 0x1p-48);
  total4_0 += largeIntegersOf(acc4_0 * 0x1p-48);
  total4_1 += largeIntegersOf(acc4_1 * 0x1p-48);
  total5_0 += largeIntegersOf(acc5_0 * 0x1p-48);
  total5_1 += largeIntegersOf(acc5_1 * 0x1p-48);
  total6_0 += largeIntegersOf(acc6_0 * 0x1p-48);
  total6_1 += largeIntegersOf(acc6_1 * 0x1p-48);
  total7_0 += largeIntegersOf(acc7_0 * 0x1p-48);
  total7_1 += largeIntegersOf(acc7_1 * 0x1p-48);
  }

  var results = array<vec4<i32>, PATCH_H * PATCH_W * WORDS>(
    total0_0,
    total0_1,
    total1_0,
    total1_1,
    total2_0,
    total2_1,
    total3_0,
    total3_1,
    total4_0,
    total4_1,
    total5_0,
    total5_1,
    total6_0,
    total6_1,
    total7_0,
    total7_1,
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
