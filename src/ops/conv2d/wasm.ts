/** Convolution on the WebAssembly backend: which kernels fit, and what they are called with. */
import type { Conv2dOperation, ProgramTensor } from '../../program/program.ts';
import { call, parameterBlock, scratch, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { RelaxedDot, ValueRange, WasmKernel, WasmVariant } from '../wasm-kernel.ts';
import { convolutionBlock, padCall, sideOf, packedWeights } from './wasm-block.ts';
import { type CostedVariant, estimateCost } from './wasm-cost.ts';
import { winograd } from './wasm-winograd.ts';
import { packEpilogue } from './wasm-epilogue.ts';
import { DEPTHWISE, type PanelLane, panels } from './wasm-layouts.ts';
import { convolutionShape, type ConvolutionShape, PANEL } from './wasm-shape.ts';

export const wasmKernel: WasmKernel<Conv2dOperation> = {
  variants(operation, tensor, batch, { relaxedDot }, range) {
    const input = tensor(operation.inputs[0]);
    const output = tensor(operation.output);
    const shape = convolutionShape(operation, input);
    const relaxed = relaxedArithmetic(relaxedDot, range(input.id));
    const arithmetics = operation.weights.zeroPoint ? [DOT_16] : relaxed ? [DOT_8, relaxed] : [DOT_8];
    const variants = [
      ...arithmetics.map((arithmetic) => direct(operation, input, output, shape, batch, arithmetic)),
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

/** How the direct kernel multiplies. */
interface Arithmetic {
  readonly name: string;
  readonly export: string;
  /** Bytes of an element of the padded image. */
  readonly elementBytes: 1 | 2;
  /** How weights lie. */
  readonly lane: PanelLane;
  /** What the padded image is less by. */
  readonly offset: number;
  /** Time of a product, that of the int16 dot being 1. */
  readonly productCost: number;
}

const DOT_8: Arithmetic = {
  name: 'direct-8',
  export: 'convolve8',
  elementBytes: 2,
  lane: '2xint8',
  offset: 0,
  productCost: 1,
};
/** Weights less their zero points need 9 bits. */
const DOT_16: Arithmetic = { ...DOT_8, name: 'direct-16', export: 'convolve16', lane: '2xint16' };

/** The relaxed dot, where the input's values can be brought into the range for which it is exact in this engine. */
function relaxedArithmetic(relaxedDot: RelaxedDot, { lo, hi }: ValueRange): Arithmetic | undefined {
  // An engine that is exact beyond 0…127 has the processor's four-way dot product; else it is two instructions and an addition.
  const common = {
    name: 'relaxed',
    export: 'convolveRelaxed',
    elementBytes: 1,
    lane: '4xint8',
  } as const;
  switch (relaxedDot) {
    case 'none':
      return undefined;
    case 'i7':
      return hi - lo > 127 ? undefined : { ...common, offset: lo, productCost: 0.75 };
    case 'u8':
      return { ...common, offset: -128, productCost: 0.3 };
    case 'i8':
      return { ...common, offset: 0, productCost: 0.3 };
  }
}

function direct(
  operation: Conv2dOperation,
  input: ProgramTensor,
  output: ProgramTensor,
  shape: ConvolutionShape,
  batch: number,
  arithmetic: Arithmetic,
): CostedVariant {
  const builder = new VariantBuilder();
  const { name, elementBytes, lane, offset, productCost } = arithmetic;
  const layout = panels(shape, operation.kernel[1], operation.groups, lane);
  const frame = builder.workspace(frameElements(shape, batch) * elementBytes);
  const weights = packedWeights(builder, operation, input, layout, `${shape.rowSegments}`);
  const inBytes = (offsets: readonly number[]) => Int32Array.from(offsets, (value) => value * elementBytes);
  const fields = convolutionBlock(operation, output, shape, batch, elementBytes);
  const units = Math.ceil(fields.rows / (4 * fields.tilesPerUnit)) * shape.panels;
  const narrow = elementBytes === 1 ? { offset } : undefined;
  const variant = builder.build(name, [
    padCall(builder, operation, input, shape, frame, batch, narrow),
    call(
      arithmetic.export,
      [
        frame,
        weights,
        builder.constant(`epilogue-${offset}`, () => packEpilogue(operation, output, shape, offset)),
        builder.constant(`segments-${elementBytes}`, () => inBytes(shape.segmentOffsets)),
        builder.constant(`panels-${elementBytes}`, () => inBytes(shape.panelChannels)),
        tensorAt(output.id),
        sideOf(operation),
        builder.constant(`shape-${elementBytes}-${batch}`, () => parameterBlock('Convolution', fields)),
        scratch,
      ],
      units,
      fields.tilesPerUnit * 16 + 128,
    ),
  ]);
  const cost = estimateCost({
    products:
      Math.ceil(fields.rows / 4) *
      4 *
      shape.panels *
      PANEL *
      fields.segments *
      fields.segmentLength *
      productCost,
    weightBytes: layout.byteCount(operation.weights),
    transformed: 0,
  });
  return { variant, cost };
}

function frameElements(shape: ConvolutionShape, batch: number): number {
  return batch * shape.frameHeight * shape.frameWidth * shape.channels;
}

function isDepthwise({ groups, bias, pool }: Conv2dOperation, input: ProgramTensor): boolean {
  return groups > 1 && groups === input.image[2] && bias.length === groups && !pool;
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
        packedWeights(builder, operation, input, DEPTHWISE),
        builder.constant('epilogue-0', () => packEpilogue(operation, output, shape)),
        builder.constant('taps', () => Int32Array.from(taps)),
        tensorAt(output.id),
        sideOf(operation),
        builder.constant(`depthwise-shape-${batch}`, () => parameterBlock('Convolution', fields)),
      ],
      batch * shape.height,
    ),
  ]);
}
