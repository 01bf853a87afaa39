
const PIXELS = 1u;
const CHANNELS = 1u;
const WORDS = 1u;
const BITS = 31;
const SHIFT = 18u;
@group(0) @binding(0) var<storage, read> x: array<u32, PIXELS * WORDS>;
@group(0) @binding(1) var<storage, read> exponentials: array<u32, 256>;
@group(0) @binding(2) var<storage, read> steps: array<i32, 256>;
@group(0) @binding(3) var<storage, read> logarithms: array<i32, 257>;
@group(0) @binding(4) var<storage, read_write> y: array<u32, PIXELS * WORDS>;

const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 1u;
const INVOCATIONS = 1u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}

// Which lanes of a word are channels.
fn channelsOf(word: u32) -> vec4<bool> {
  return vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(CHANNELS);
}

fn logarithmOf(total: u32) -> i32 {
  let zeros = countLeadingZeros(total);
  let normalized = total << zeros;
  let i = (normalized >> 23u) & 255u;
  let f = i32((normalized >> 7u) & 0xffffu);
  let low = logarithms[i];
  return (31 - i32(zeros) - BITS) * logarithms[256] + low + (((logarithms[i + 1u] - low) * f) >> 16u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let pixel = invocationIndex(workgroup, local);
  if (pixel >= INVOCATIONS) {
    return;
  }
  let start = pixel * WORDS;
  var most = vec4<i32>(-128);
  for (var word = 0u; word < WORDS; word++) {
    most = max(most, select(vec4<i32>(-128), unpack4xI8(x[start + word]), channelsOf(word)));
  }
  let largest = max(max(most.x, most.y), max(most.z, most.w));

  var sums = vec4<u32>();
  for (var word = 0u; word < WORDS; word++) {
    // In padded lanes a difference may be negative.
    let d = vec4<u32>(max(vec4<i32>(largest) - unpack4xI8(x[start + word]), vec4<i32>()));
    let e = vec4<u32>(exponentials[d.x], exponentials[d.y], exponentials[d.z], exponentials[d.w]);
    sums += select(vec4<u32>(), e, channelsOf(word));
  }
  let logarithm = logarithmOf(sums.x + sums.y + sums.z + sums.w);

  const HALF = 1 << (SHIFT - 1u);
  for (var word = 0u; word < WORDS; word++) {
    let d = vec4<u32>(max(vec4<i32>(largest) - unpack4xI8(x[start + word]), vec4<i32>()));
    let sum = vec4<i32>(steps[d.x], steps[d.y], steps[d.z], steps[d.w]) + logarithm;
    // Ties to even: a half less one, and one more where the integer below is odd.
    let rounded = (sum + (HALF - 1) + ((sum >> vec4<u32>(SHIFT)) & vec4<i32>(1))) >> vec4<u32>(SHIFT);
    let values = clamp(127 - rounded, vec4<i32>(-128), vec4<i32>(127));
    y[start + word] = pack4xI8(select(vec4<i32>(127), values, channelsOf(word)));
  }
}
