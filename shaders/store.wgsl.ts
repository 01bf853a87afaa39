import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/** `store(index, values)`: four channels to a word of `y`. Padded lanes get the zero point, whatever was computed for them. */
export const storeWgsl = (channels: number, zeroPoint: number) => wgsl`
fn store(index: u32, values: vec4<i32>) {
#if ${channels % 4 === 0}
  y[index] = pack4xI8(values);
#else
  let lanes = vec4<u32>(index % ${Math.ceil(channels / 4)}u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = pack4xI8(select(vec4<i32>(${zeroPoint}), values, lanes < vec4<u32>(${channels}u)));
#endif
}
`;
