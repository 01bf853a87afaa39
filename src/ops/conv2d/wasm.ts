/** Convolution on the WebAssembly backend: which kernels fit, and what they are called with. */
import type { Conv2dOperation, ProgramTensor } from '../../program/program.ts';
import { call, parameterBlock, scratch, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel, WasmVariant } from '../wasm-kernel.ts';
import { convolutionBlock, padCall, sideOf } from './wasm-block.ts';
import { type CostedVariant, estimateCost } from './wasm-cost.ts';
import { winograd } from './wasm-winograd.ts';
import {
  convolutionShape,
  type ConvolutionShape,
  packedWeightCount,
  packEpilogue,
  packWeights,
} from './wasm-pack.ts';

export const wasmKernel: WasmKernel<Conv2dOperation> = {
  variants(operation, tensor, batch) {
    const input = tensor(operation.inputs[0]);
    const output = tensor(operation.output);
    const shape = convolutionShape(operation, input);
    const variants = [
      direct(operation, input, output, shape, batch),
      ...winograd(operation, input, output, batch),
    ].sort((a, b) => a.cost - b.cost);
    if (isDepthwise(operation, input)) {
      return [depthwise(operation, input, output, shape, batch), variants[0].variant];
    }
    return variants.map(({ variant }) => variant);
  },

  outputRange({ requantize, residual }) {
    const { lo, hi } = residual ?? requantize ?? { lo: -128, hi: 127 };
    return { lo, hi };
  },
};

function direct(
  operation: Conv2dOperation,
  input: ProgramTensor,
  output: ProgramTensor,
  shape: ConvolutionShape,
  batch: number,
): CostedVariant {
  const builder = new VariantBuilder();
  const wide = operation.weightZeroPoint !== null;
  const frame = builder.workspace(frameElements(shape, batch) * 2);
  const weights = builder.constant('weights', () => {
    const count = packedWeightCount(shape);
    return packWeights(operation, shape, 2, wide ? new Int16Array(count) : new Int8Array(count));
  });
  const fields = convolutionBlock(operation, output, shape, batch, 2);
  const units = Math.ceil(fields.rows / (4 * fields.tilesPerUnit)) * shape.panels;
  const variant = builder.build(wide ? 'direct-16' : 'direct-8', [
    padCall(builder, operation, input, shape, frame, batch),
    call(
      wide ? 'convolve16' : 'convolve8',
      [
        frame,
        weights,
        builder.constant('epilogue', () => packEpilogue(operation, output, shape, operation.bias)),
        builder.constant('segments', () => Int32Array.from(shape.segmentOffsets, (offset) => offset * 2)),
        builder.constant('panels', () => Int32Array.from(shape.panelChannels, (channel) => channel * 2)),
        tensorAt(output.id),
        sideOf(operation),
        builder.constant(`shape-${batch}`, () => parameterBlock(fields)),
        scratch,
      ],
      units,
      fields.tilesPerUnit * 16 + 128,
    ),
  ]);
  const cost = estimateCost({
    products: Math.ceil(fields.rows / 4) * 4 * packedWeightCount(shape),
    weightBytes: packedWeightCount(shape) * (wide ? 2 : 1),
    transformed: 0,
  });
  return { variant, cost };
}

function frameElements(shape: ConvolutionShape, batch: number): number {
  return batch * shape.frameHeight * shape.frameWidth * shape.channels;
}

function isDepthwise({ groups, bias, pool }: Conv2dOperation, input: ProgramTensor): boolean {
  return groups > 1 && groups === input.shape[2] && bias.length === groups && !pool;
}

/** The kernel reads 8 channels at once, beyond the last pixel too. */
const DEPTHWISE_SLACK = 16;

function depthwise(
  operation: Conv2dOperation,
  input: ProgramTensor,
  output: ProgramTensor,
  shape: ConvolutionShape,
  batch: number,
): WasmVariant {
  const builder = new VariantBuilder();
  const { kernel, dilation } = operation;
  const frame = builder.workspace(frameElements(shape, batch) * 2 + DEPTHWISE_SLACK);
  const taps: number[] = [];
  for (let ky = 0; ky < kernel[0]; ky++) {
    for (let kx = 0; kx < kernel[1]; kx++) {
      taps.push((ky * dilation[0] * shape.frameWidth + kx * dilation[1]) * shape.channels * 2);
    }
  }
  if (taps.length % 2 === 1) taps.push(taps[taps.length - 1]);
  const fields = { ...convolutionBlock(operation, output, shape, batch, 2), segments: taps.length / 2 };
  return builder.build('depthwise', [
    padCall(builder, operation, input, shape, frame, batch),
    call(
      'depthwise',
      [
        frame,
        builder.constant('depthwise-weights', () => packDepthwise(operation, taps.length)),
        builder.constant('epilogue', () => packEpilogue(operation, output, shape, operation.bias)),
        builder.constant('taps', () => Int32Array.from(taps)),
        tensorAt(output.id),
        sideOf(operation),
        builder.constant(`depthwise-shape-${batch}`, () => parameterBlock(fields)),
      ],
      batch * shape.height,
    ),
  ]);
}

/** [octet of channels][tap pair][8 channels][2 taps], the weights less their zero point. */
function packDepthwise(
  { weights, weightZeroPoint, bias, kernel }: Conv2dOperation,
  taps: number,
): Int16Array {
  const packed = new Int16Array(Math.ceil(bias.length / 8) * taps * 8);
  const realTaps = kernel[0] * kernel[1];
  for (let c = 0; c < bias.length; c++) {
    for (let tap = 0; tap < realTaps; tap++) {
      const pair = Math.floor(c / 8) * (taps / 2) + (tap >> 1);
      packed[(pair * 8 + (c % 8)) * 2 + (tap & 1)] =
        weights[c * realTaps + tap] - (weightZeroPoint?.[c] ?? 0);
    }
  }
  return packed;
}
