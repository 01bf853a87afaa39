
const HEIGHT = 5u;
const WIDTH = 3u;
const CHANNELS = 11u;
const WORDS = 3u;
const OUT_HEIGHT = 5u;
const OUT_WIDTH = 3u;
const OUT_WORDS = 1u;
const COLUMNS = 1u;
const FOLDED_WORDS = 3u;
const STEPS = 1u * COLUMNS * FOLDED_WORDS;
const LANES = 64u;
const START = vec4<i32>(0);
@group(0) @binding(0) var<storage, read> x: array<u32, 3u * HEIGHT * WIDTH * WORDS>;

@group(0) @binding(1) var<storage, read> thresholds: array<i32, 255>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, 3u * OUT_HEIGHT * OUT_WIDTH * OUT_WORDS>;


const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 45u;
const INVOCATIONS = 2880u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}


fn store(index: u32, values: vec4<i32>) {

  let lanes = vec4<u32>(index % 1u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(-128), values, lanes < vec4<u32>(1u)));

}

fn join(a: vec4<i32>, b: vec4<i32>) -> vec4<i32> {

  return a + b;

}

fn termOf(value: vec4<i32>) -> vec4<i32> {

  let difference = value - 9;

  return difference * difference;


}


fn reached(acc: i32) -> i32 {
  var count = 0u;
  for (var step = 128u; step > 0u; step /= 2u) {
    count += select(0u, step, thresholds[count + step - 1u] <= acc);
  }
  return i32(count);
}

fn finish(acc: vec4<i32>) -> vec4<i32> {
  return vec4<i32>(reached(acc.x), reached(acc.y), reached(acc.z), reached(acc.w)) + -128;
}


var<workgroup> partial: array<vec4<i32>, WORKGROUP_SIZE>;


@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);

  let lane = index % LANES;
  // Those beyond the last word take part in the barriers.
  let output = min(index, INVOCATIONS - 1u) / LANES;

  let pixel = output / OUT_WORDS;
  let column = pixel % OUT_WIDTH;
  let row = pixel / OUT_WIDTH % OUT_HEIGHT;
  let image = pixel / (OUT_WIDTH * OUT_HEIGHT);
  let start = ((image * HEIGHT + row) * WIDTH + column) * WORDS + output % OUT_WORDS;
  var acc = START;
  for (var i = lane; i < STEPS; i += LANES) {
    let word = i % FOLDED_WORDS;
    let at = i / FOLDED_WORDS;
    let value = termOf(unpack4xI8(x[start + (at / COLUMNS * WIDTH + at % COLUMNS) * WORDS + word]));

    let channels = vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    acc = join(acc, select(START, value, channels < vec4<u32>(CHANNELS)));

  }

  partial[local] = acc;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      partial[local] = join(partial[local], partial[local + step]);
    }
  }
  if (lane > 0u || index >= INVOCATIONS) {
    return;
  }
  acc = partial[local];


  acc = join(acc, acc.zwxy);
  acc = join(acc, acc.yxwz);

  store(output, finish(acc));
}
