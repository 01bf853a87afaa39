
const OUT_WORDS = 2u;
@group(0) @binding(0) var<storage, read> x0: array<u32, 120>;
@group(0) @binding(1) var<storage, read> offsets: array<i32, 120>;

@group(0) @binding(2) var<storage, read_write> y: array<u32, 144>;


const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 3u;
const INVOCATIONS = 144u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}


fn store(index: u32, values: vec4<i32>) {

  let lanes = vec4<u32>(index % 2u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(-5), values, lanes < vec4<u32>(5u)));

}





// The value of one output channel; whatever in a padded lane.
fn valueOf(n: u32, h: u32, w: u32, channel: u32) -> i32 {
  var value = 77;
  if (channel >= 0u && channel < 5u) {
    let c = channel - 0u;
    let offset = offsets[0u + (h * 3u + w) * 5u + c];
    if (offset >= 0) {
      let at = n * 160u + u32(offset);
      let q = extractBits(bitcast<i32>(x0[at / 4u]), at % 4u * 8u, 8u);
      value = q;
    }
  }
  return value;
}

fn valuesOf(n: u32, h: u32, w: u32, word: u32) -> vec4<i32> {
  return vec4<i32>(
    valueOf(n, h, w, word * 4u + 0u),
    valueOf(n, h, w, word * 4u + 1u),
    valueOf(n, h, w, word * 4u + 2u),
    valueOf(n, h, w, word * 4u + 3u)
  );
}


@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let word = index % 2u + 0u;
  let pixel = index / 2u;
  let w = pixel % 3u;
  let h = pixel / 3u % 8u;
  let n = pixel / 24u;
  let place = (n * 8u + h + 0u) * 3u + w + 0u;
  store(place * OUT_WORDS + word, valuesOf(n, h, w, word));
}
