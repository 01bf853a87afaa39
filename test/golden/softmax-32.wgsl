
const PIXELS = 105u;
const CHANNELS = 13u;
const WORDS = 4u;
const LANES = 32u;
const MANTISSA = 256u;
const MANTISSA_BITS = 9u;
const SHIFT = 0u;
@group(0) @binding(0) var<storage, read> x: array<u32, PIXELS * WORDS>;
@group(0) @binding(1) var<storage, read> exponentials: array<u32, 256>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, PIXELS * WORDS>;

const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 53u;
const INVOCATIONS = 3360u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}

// Which lanes of a word are channels.
fn channelsOf(word: u32) -> vec4<bool> {
  return vec4<u32>(word * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(CHANNELS);
}

fn exponentialsOf(differences: vec4<i32>) -> vec4<u32> {
  // In padded lanes a difference may be negative.
  let d = vec4<u32>(max(differences, vec4<i32>()));
  return vec4<u32>(exponentials[d.x], exponentials[d.y], exponentials[d.z], exponentials[d.w]);
}

// e ≤ total ≤ 2³¹, and the remainder stays below total: no step leaves 32 bits.
fn quotient(e: u32, total: u32) -> i32 {
  var whole = 0u;
  var rest = 0u;
  for (var i = 0u; i < MANTISSA_BITS; i++) {
    rest *= 2u;
    whole *= 2u;
    if (rest >= total) {
      rest -= total;
      whole += 1u;
    }
    if (((MANTISSA >> (MANTISSA_BITS - 1u - i)) & 1u) == 1u) {
      rest += e;
      if (rest >= total) {
        rest -= total;
        whole += 1u;
      }
    }
  }

  let up = rest > total - rest || (rest == total - rest && (whole & 1u) == 1u);
  return i32(whole + u32(up));

}

var<workgroup> shared_largest: array<i32, WORKGROUP_SIZE>;
var<workgroup> shared_sum: array<u32, WORKGROUP_SIZE>;


@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);

  let lane = index % LANES;
  // Those beyond the last pixel take part in the barriers.
  let pixel = min(index / LANES, PIXELS - 1u);

  let start = pixel * WORDS;

  var most = vec4<i32>(-128);
  for (var word = lane; word < WORDS; word += LANES) {
    most = max(most, select(vec4<i32>(-128), unpack4xI8(x[start + word]), channelsOf(word)));
  }
  var largest = max(max(most.x, most.y), max(most.z, most.w));

  shared_largest[local] = largest;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      shared_largest[local] = max(shared_largest[local], shared_largest[local + step]);
    }
  }
  workgroupBarrier();
  largest = shared_largest[local - lane];


  var sums = vec4<u32>();
  for (var word = lane; word < WORDS; word += LANES) {
    let e = exponentialsOf(vec4<i32>(largest) - unpack4xI8(x[start + word]));
    sums += select(vec4<u32>(), e, channelsOf(word));
  }
  var total = sums.x + sums.y + sums.z + sums.w;

  shared_sum[local] = total;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      shared_sum[local] += shared_sum[local + step];
    }
  }
  workgroupBarrier();
  total = shared_sum[local - lane];
  if (index >= INVOCATIONS) {
    return;
  }


  for (var word = lane; word < WORDS; word += LANES) {
    let e = exponentialsOf(vec4<i32>(largest) - unpack4xI8(x[start + word]));
    let q = vec4<i32>(quotient(e.x, total), quotient(e.y, total), quotient(e.z, total), quotient(e.w, total));
    let values = clamp(q + -128, vec4<i32>(-128), vec4<i32>(127));
    y[start + word] = pack4xI8(select(vec4<i32>(-128), values, channelsOf(word)));
  }
}
