
const PIXELS = 20u;
const IN_WORDS = 6u;
const WORDS = 6u;
@group(0) @binding(0) var<storage, read> x: array<u32, PIXELS * IN_WORDS>;
@group(0) @binding(1) var<storage, read> source: array<vec4<u32>, WORDS>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, PIXELS * WORDS>;

const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 2u;
const INVOCATIONS = 120u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}


fn store(index: u32, values: vec4<i32>) {

  let lanes = vec4<u32>(index % 6u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(-77), values, lanes < vec4<u32>(22u)));

}


@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let first = index / WORDS * IN_WORDS;
  let c = source[index % WORDS];
  let words = vec4<u32>(x[first + c.x / 4u], x[first + c.y / 4u], x[first + c.z / 4u], x[first + c.w / 4u]);
  // The byte to the top, and down again with its sign.
  store(index, bitcast<vec4<i32>>(words << (vec4<u32>(24u) - c % 4u * 8u)) >> vec4<u32>(24u));
}
