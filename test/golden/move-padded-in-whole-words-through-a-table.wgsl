
const OUT_WORDS = 2u;
@group(0) @binding(0) var<storage, read> x0: array<u32, 12>;
@group(0) @binding(1) var<storage, read> offsets: array<i32, 15>;

@group(0) @binding(2) var<storage, read> tables: array<u32, 64>;
@group(0) @binding(3) var<storage, read_write> y: array<u32, 24>;


const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 1u;
const INVOCATIONS = 24u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}


fn store(index: u32, values: vec4<i32>) {

  y[index] = pack4xI8(values);

}



fn entry(table: u32, value: i32) -> i32 {
  let at = u32(value + 128);
  return extractBits(bitcast<i32>(tables[table + at / 4u]), at % 4u * 8u, 8u);
}



fn valuesOf(n: u32, h: u32, w: u32, word: u32) -> vec4<i32> {
  var values = vec4<i32>(77);
  if (word >= 0u && word < 2u) {
    let c = (word - 0u) * 4u;
    let offset = offsets[0u + h] + offsets[4u + w] + offsets[7u + c];
    if (offset >= 0) {
      let q = unpack4xI8(x0[(n * 48u + u32(offset)) / 4u]);
      values = vec4<i32>(entry(0u, q.x), entry(0u, q.y), entry(0u, q.z), entry(0u, q.w));
    }
  }
  return values;
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
  let h = pixel / 3u % 4u;
  let n = pixel / 12u;
  let place = (n * 4u + h + 0u) * 3u + w + 0u;
  store(place * OUT_WORDS + word, valuesOf(n, h, w, word));
}
