

const HEIGHT = 9;
const WIDTH = 8;
const OUT_HEIGHT = 5u;
const OUT_WIDTH = 4u;
const WORDS = 2u;
@group(0) @binding(0) var<storage, read> x: array<u32, 72u * WORDS>;
@group(0) @binding(1) var<storage, read_write> y: array<u32, 1u * OUT_HEIGHT * OUT_WIDTH * WORDS>;

// Batch, row and column of the first tap of the window behind an output word; may lie in the padding.
fn windowStart(index: u32) -> vec3<i32> {
  let pixel = index / WORDS;
  return vec3<i32>(
    i32(pixel / (OUT_HEIGHT * OUT_WIDTH)),
    i32(pixel / OUT_WIDTH % OUT_HEIGHT) * 2 - 1,
    i32(pixel % OUT_WIDTH) * 2 - 1,
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

  let lanes = vec4<u32>(index % 2u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(-3), values, lanes < vec4<u32>(7u)));

}


const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 1u;
const INVOCATIONS = 40u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}


@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let start = windowStart(index);
  let word = index % WORDS;
  var largest = vec4<i32>(-128);
  for (var ky = 0; ky < 3; ky++) {
    for (var kx = 0; kx < 3; kx++) {
      let row = start.y + ky * 1;
      let column = start.z + kx * 1;
      let value = inputWord(start.x, row, column, word);
      largest = max(largest, select(vec4<i32>(-128), value, isInside(row, column)));
    }
  }
  store(index, largest);
}
