

const PIXEL_WORDS = 2u;
const IMAGE_WORDS = 24u;

@group(0) @binding(0) var<storage, read> a: array<u32, 48>;
@group(0) @binding(1) var<storage, read> b: array<u32, 24>;
@group(0) @binding(3) var<storage, read_write> y: array<u32, 48>;

const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 1u;
const INVOCATIONS = 48u;

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


fn store(index: u32, values: vec4<i32>) {

  let lanes = vec4<u32>(index % 2u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(33), values, lanes < vec4<u32>(6u)));

}

@group(0) @binding(2) var<storage, read> table: array<u32, 16384>;

fn entry(a: i32, b: i32) -> i32 {
  let at = u32(256 * (a + 128) + b + 128);
  return extractBits(bitcast<i32>(table[at / 4u]), at % 4u * 8u, 8u);
}


@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }

  let pixel = index / PIXEL_WORDS;
  let other = index / IMAGE_WORDS * 12u
    + pixel / 4u % 3u * 4u
    + pixel % 4u * 1u
    + index % PIXEL_WORDS * 0u;

  let first = unpack4xI8(a[index]) - 0;

  let second = unpack4xI8(b[other]).xxxx - 0;


  let exact = vec4<i32>(
    entry(first.x, second.x),
    entry(first.y, second.y),
    entry(first.z, second.z),
    entry(first.w, second.w),
  );

  store(index, rescaleSum(exact, 0u, 0, -128, 127));
}
