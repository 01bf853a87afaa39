
const PIXELS = 24u;
const CHANNELS = 10u;
const WORDS = 3u;
@group(0) @binding(0) var<storage, read> x: array<u32, PIXELS * WORDS>;
@group(0) @binding(1) var<storage, read_write> y: array<i32, PIXELS>;

const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 1u;
const INVOCATIONS = 24u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let pixel = invocationIndex(workgroup, local);
  if (pixel >= INVOCATIONS) {
    return;
  }
  // Below every value.
  var best = -129;
  var index = 0u;
  for (var word = 0u; word < WORDS; word++) {
    let values = unpack4xI8(x[pixel * WORDS + word] ^ 0xffffffffu);
    for (var lane = 0u; lane < 4u; lane++) {
      let c = word * 4u + lane;
      if (c < CHANNELS && values[lane] >= best) {
        best = values[lane];
        index = c;
      }
    }
  }
  y[pixel] = i32(index);
}
