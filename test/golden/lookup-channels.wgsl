
const PIXEL_WORDS = 1u;
@group(0) @binding(0) var<storage, read> x: array<u32, 105>;
@group(0) @binding(1) var<storage, read> table: array<u32, 256>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, 105>;

const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 2u;
const INVOCATIONS = 105u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}


fn store(index: u32, values: vec4<i32>) {

  let lanes = vec4<u32>(index % 1u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(-77), values, lanes < vec4<u32>(3u)));

}


// The entry of a table that begins with word 'first'.
fn entry(first: u32, value: i32) -> i32 {
  let at = u32(value + 128);
  return extractBits(bitcast<i32>(table[first + at / 4u]), at % 4u * 8u, 8u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let values = unpack4xI8(x[index]);

  let first = index % PIXEL_WORDS * 256u;
  let mapped = vec4<i32>(
    entry(first, values.x),
    entry(first + 64u, values.y),
    entry(first + 128u, values.z),
    entry(first + 192u, values.w),
  );

  store(index, mapped);
}
