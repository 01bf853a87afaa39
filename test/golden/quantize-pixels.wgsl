
const CHANNELS = 3u;
const WORDS = 1u;
const ZERO_POINT = -14;
@group(0) @binding(0) var<storage, read> pixels: array<u32, 768>;
@group(0) @binding(1) var<storage, read> table: array<u32, CHANNELS * 64u>;
@group(0) @binding(2) var<storage, read_write> y: array<u32, 1024u * WORDS>;

const WORKGROUP_SIZE = 64u;
const GRID_COLUMNS = 16u;
const INVOCATIONS = 1024u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}


// The quantized value of one channel of a pixel, or the zero point in a padded lane.
fn quantized(pixel: u32, channel: u32) -> i32 {
  if (channel >= CHANNELS) {
    return ZERO_POINT;
  }
  let at = pixel * CHANNELS + channel;
  let value = extractBits(pixels[at / 4u], at % 4u * 8u, 8u);
  let entry = channel * 256u + value;
  return extractBits(bitcast<i32>(table[entry / 4u]), entry % 4u * 8u, 8u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let pixel = index / WORDS;
  let channel = index % WORDS * 4u;
  y[index] = pack4xI8(vec4<i32>(
    quantized(pixel, channel + 0u),
    quantized(pixel, channel + 1u),
    quantized(pixel, channel + 2u),
    quantized(pixel, channel + 3u)
  ));
}
