

const HEIGHT = 6;
const WIDTH = 7;
const OUT_HEIGHT = 6u;
const OUT_WIDTH = 6u;
const WORDS = 1u;
@group(0) @binding(0) var<storage, read> x: array<u32, 42u * WORDS>;
@group(0) @binding(1) var<storage, read_write> y: array<u32, 1u * OUT_HEIGHT * OUT_WIDTH * WORDS>;

// Batch, row and column of the first tap of the window behind an output word; may lie in the padding.
fn windowStart(index: u32) -> vec3<i32> {
  let pixel = index / WORDS;
  return vec3<i32>(
    i32(pixel / (OUT_HEIGHT * OUT_WIDTH)),
    i32(pixel / OUT_WIDTH % OUT_HEIGHT) * 1 - 0,
    i32(pixel % OUT_WIDTH) * 1 - 1,
  );
}

fn isInside(row: i32, column: i32) -> bool {
  return row >= 0 && row < HEIGHT && column >= 0 && column < WIDTH;
}

fn inputWord(n: i32, row: i32, column: i32, word: u32) -> vec4<i32> {
  let pixel = (n * HEIGHT + clamp(row, 0, HEIGHT - 1)) * WIDTH + clamp(column, 0, WIDTH - 1);
  return unpack4xI8(x[u32(pixel) * WORDS + word]);
}

fn store(index: u32, values: vec4<i32>) {

  y[index] = pack4xI8(values);

}

@group(0) @binding(2) var<storage, read> multipliers: array<i32, 9>;

const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 1u;
const INVOCATIONS = 36u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}


fn roundShift(sum: vec4<i32>, shift: u32) -> vec4<i32> {
  // Half a unit, less one where the result is even: ties then go to the even neighbour. Both vanish where shift is 0.
  let unit = 1i << shift;
  let below = vec4<i32>((unit >> 1u) - i32(min(shift, 1u)));
  let odd = (sum >> vec4<u32>(shift)) & vec4<i32>(min(unit - 1, 1));
  return (sum + below + odd) >> vec4<u32>(shift);
}

fn rescaleSum(sum: vec4<i32>, shift: u32, zeroPoint: i32, lo: i32, hi: i32) -> vec4<i32> {
  return clamp(roundShift(sum, shift) + zeroPoint, vec4<i32>(lo), vec4<i32>(hi));
}


@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let start = windowStart(index);
  let word = index % WORDS;
  var sum = vec4<i32>();
  var count = 0;
  for (var ky = 0; ky < 3; ky++) {
    for (var kx = 0; kx < 3; kx++) {
      let row = start.y + ky * 1;
      let column = start.z + kx * 1;
      let value = inputWord(start.x, row, column, word) - -3;
      let inside = isInside(row, column);
      sum += select(vec4<i32>(), value, inside);
      count += i32(inside);
    }
  }

  let multiplier = multipliers[max(count, 1) - 1];

  store(index, rescaleSum(sum * multiplier, 22u, 11, -128, 127));
}
