import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import type { Conv2dShape } from './conv2d-shape.wgsl.ts';
import { requantizeWgsl } from './requantize.wgsl.ts';
import { rescaleWgsl } from './rescale.wgsl.ts';

/** Vectors of the record of a word of four channels; the last only where the kernel corrects for zero points of weights. */
export const CHANNEL_VECTORS = { bias: 0, limit: 1, mantissa: 2, fields: 3, weightZeroPoint: 4 } as const;

/** Vectors of the layer, behind the records. */
export const LAYER_VECTORS = { input: 0, factors: 1, result: 2 } as const;

/** Vectors of a record. */
export function recordLength(weightZeroPoint: boolean): number {
  return CHANNEL_VECTORS.weightZeroPoint + (weightZeroPoint ? 1 : 0);
}

const inRecord = (vector: keyof typeof CHANNEL_VECTORS) => `epilogue[record + ${CHANNEL_VECTORS[vector]}u]`;

/**
 * What all convolution kernels do with four finished accumulators: bias, requantize, residual, packed store.
 *
 * Bindings 2 to 4 (0 and 1 are the input and the weights):
 *   epilogue  [OUT_WORDS][RECORD] vec4<i32>, records of CHANNEL_VECTORS: bias, limit, mantissa, fields (requantize.wgsl.ts), and the weights' zero
 *             points where there are any; then LAYER_VECTORS: input, (four times the input's zero point in one word, 0, 0, 0); factors of the
 *             residual, (multiplier of the convolution, multiplier of the other input, and their zero points); its result, (shift, zero point,
 *             lo, hi)
 *   y         [OUT_PIXELS][OUT_WORDS] u32 of four int8, or vec4<i32> accumulators
 *   residual  like y
 *
 * With `sizes: 'layer'` the sizes come from the `layer` that conv2d-layer.wgsl.ts declares, and the arrays are as long as what is bound.
 *
 * Padded lanes come out right by themselves: their weights, bias and mantissa are 0, and their lo and hi the zero point. Only a
 * residual needs to restore them.
 */
export const conv2dEpilogueWgsl = (
  shape: Pick<Conv2dShape, 'int32' | 'residual' | 'weightZeroPoint' | 'outChannels'>,
  sizes: 'constant' | 'layer' = 'constant',
) => {
  const constant = sizes === 'constant';
  const outWords = constant ? 'OUT_WORDS' : 'layer.outWords';
  const layerRecord = constant ? 'LAYER_RECORD' : '(layer.outWords * RECORD)';
  const pack = constant ? 'pack4xI8' : 'packBytes';
  const outputs = constant ? ', OUT_PIXELS * OUT_WORDS' : '';
  return wgsl`
const RECORD = ${recordLength(shape.weightZeroPoint)}u;
#if ${constant}
const LAYER_RECORD = OUT_WORDS * RECORD;
#endif
@group(0) @binding(2) var<storage, read> epilogue: array<vec4<i32>${constant ? `, LAYER_RECORD + ${Object.keys(LAYER_VECTORS).length}u` : ''}>;
#if ${shape.int32}
@group(0) @binding(3) var<storage, read_write> y: array<vec4<i32>${outputs}>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<u32${outputs}>;
${requantizeWgsl(constant ? 'native' : 'converted')}
#endif
#if ${shape.residual}
@group(0) @binding(4) var<storage, read> residual: array<u32${outputs}>;
#if ${constant}
const OUT_CHANNELS = ${shape.outChannels}u;
#endif
${rescaleWgsl}
#endif

// What the epilogue needs of one word of channels, read once for all pixels.
struct Channels {
  word: u32,
  bias: vec4<i32>,
#if ${!shape.int32}
  requantizer: Requantizer,
#endif
}

fn channelsOf(word: u32) -> Channels {
  let record = word * RECORD;
#if ${shape.int32}
  return Channels(word, ${inRecord('bias')});
#else
  let mantissa = bitcast<vec4<u32>>(${inRecord('mantissa')});
  return Channels(word, ${inRecord('bias')}, requantizerOf(${inRecord('limit')}, mantissa, ${inRecord('fields')}));
#endif
}

fn store(pixel: u32, channels: Channels, acc: vec4<i32>) {
  let index = pixel * ${outWords} + channels.word;
  let biased = acc + channels.bias;
#if ${shape.int32}
  y[index] = biased;
#else
  let q = requantize(biased, channels.requantizer);
#if ${shape.residual}
  let factors = epilogue[${layerRecord} + ${LAYER_VECTORS.factors}u];
  let result = epilogue[${layerRecord} + ${LAYER_VECTORS.result}u];
  let other = ${constant ? 'unpack4xI8' : 'bytesOf'}(residual[index]);
  let sum = (q - factors.z) * factors.x + (other - factors.w) * factors.y;
  let rescaled = rescaleSum(sum, u32(result.x), result.y, result.z, result.w);
  let lanes = vec4<u32>(channels.word * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  y[index] = ${pack}(select(vec4<i32>(result.y), rescaled, lanes < vec4<u32>(${constant ? 'OUT_CHANNELS' : 'layer.outChannels'})));
#else
  y[index] = ${pack}(q);
#endif
#endif
}
#if ${shape.weightZeroPoint}

// (w − z_w) · x summed over a window is what the packed dots give, less z_w · Σx.
fn correct(acc: vec4<i32>, word: u32, sum: i32) -> vec4<i32> {
  let record = word * RECORD;
  return acc - ${inRecord('weightZeroPoint')} * sum;
}
#endif
`;
};

/** Expression of what a pixel in the padding reads as: the input's zero point in four channels. */
export function paddingWgsl(layerRecord = 'LAYER_RECORD'): string {
  return `bitcast<u32>(epilogue[${layerRecord} + ${LAYER_VECTORS.input}u].x)`;
}
