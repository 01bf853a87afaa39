/** Convolution on the WebAssembly backend: which kernels fit, and what they are called with. */
import type { Conv2dOperation, ProgramTensor } from '../../program/program.ts';
import { call, parameterBlock, scratch, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { RelaxedDot, ValueRange, WasmCall, WasmKernel } from '../wasm-kernel.ts';
import { convolutionBlock, padCall, sideOf, packedWeights } from './wasm-block.ts';
import { type CostedVariant, estimateCost } from './wasm-cost.ts';
import { winograd } from './wasm-winograd.ts';
import { packEpilogue } from './wasm-epilogue.ts';
import { interleavedRows, type PanelLane, panels, rowGroups } from './wasm-layouts.ts';
import { storedBits } from './stored-bits.ts';
import { convolutionShape, type ConvolutionShape, PANEL } from './wasm-shape.ts';

export const wasmKernel: WasmKernel<Conv2dOperation> = {
  variants(operation, tensor, batch, { relaxedDot }, range) {
    const input = tensor(operation.inputs[0]);
    const output = tensor(operation.output);
    const shape = convolutionShape(operation, input);
    const relaxed = relaxedArithmetic(relaxedDot, range(input.id));
    const arithmetics = operation.weights.zeroPoint ? [DOT_16] : relaxed ? [DOT_8, relaxed] : [DOT_8];
    const fields = storedBits(operation) < 8 ? arithmetics.map(onFields) : [];
    const variants = [
      ...[...arithmetics, ...fields].map((arithmetic) =>
        direct(operation, input, output, shape, batch, arithmetic),
      ),
      ...winograd(operation, input, output, batch),
    ].sort((a, b) => a.cost - b.cost);
    if (!isDepthwise(operation, input)) return variants.map(({ variant }) => variant);
    const depthwises = arithmetics
      .map((arithmetic) => depthwise(operation, input, output, shape, batch, arithmetic))
      .sort((a, b) => a.cost - b.cost);
    return [...depthwises, variants[0]].map(({ variant }) => variant);
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

/** Taking the fields out of their bytes, in parts of what multiplies a tile by them. */
const FIELD_COST = 1.1;

/** The same on weights of 4 bits: the kernel waits for half the bytes. */
function onFields({ lane, productCost, ...arithmetic }: Arithmetic): Arithmetic {
  return {
    ...arithmetic,
    name: `${arithmetic.name}-w4`,
    export: lane === '4xint8' ? 'convolveRelaxed4' : 'convolve4',
    lane: lane === '4xint8' ? '4xint4' : '2xint4',
    productCost: productCost * FIELD_COST,
  };
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
  const weights = packedWeights(builder, operation, input, layout, `${shape.rowSegments}`);
  const inBytes = (offsets: readonly number[]) => Int32Array.from(offsets, (value) => value * elementBytes);
  const pointwise = isPointwise(operation);
  const block = convolutionBlock(operation, output, shape, batch, elementBytes);
  const tileBytes = 4 * shape.channels * elementBytes;
  const tilesPerUnit = pointwise
    ? Math.min(block.tilesPerUnit, Math.max(FEWEST_TILES, Math.floor(POINTWISE_BYTES / tileBytes)))
    : block.tilesPerUnit;
  const fields = { ...block, tilesPerUnit, pointwise: pointwise ? 1 : 0, offset };
  const units = Math.ceil(fields.rows / (4 * tilesPerUnit)) * shape.panels;
  const narrow = elementBytes === 1 ? { offset } : undefined;
  const padding: WasmCall[] = [];
  let image = tensorAt(input.id);
  if (!pointwise) {
    image = builder.workspace(frameElements(shape, batch) * elementBytes);
    padding.push(padCall(builder, operation, input, shape, image, batch, narrow));
  }
  const variant = builder.build(name, [
    ...padding,
    call(
      arithmetic.export,
      [
        image,
        weights,
        builder.constant(`epilogue-${offset}-${layout.bits}`, () =>
          packEpilogue(operation, output, shape, offset, layout.bits),
        ),
        builder.constant(`segments-${elementBytes}`, () => inBytes(shape.segmentOffsets)),
        builder.constant(`panels-${elementBytes}`, () => inBytes(shape.panelChannels)),
        tensorAt(output.id),
        sideOf(operation),
        builder.constant(`shape-${elementBytes}-${batch}`, () => parameterBlock('Convolution', fields)),
        scratch,
      ],
      units,
      tilesPerUnit * (16 + (pointwise ? tileBytes : 0)),
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

/** Pixels of a unit that a pointwise layer copies stay in the first-level cache. */
const POINTWISE_BYTES = 16384;
/** Fewer would read the weights too often. */
const FEWEST_TILES = 6;

/** The image is one list of pixels, each a row of the GEMM. */
function isPointwise({ kernel, stride, pads, groups, pool }: Conv2dOperation): boolean {
  return !pool && groups === 1 && [...kernel, ...stride].every((n) => n === 1) && pads.every((n) => n === 0);
}

function frameElements(shape: ConvolutionShape, batch: number): number {
  return batch * shape.frameHeight * shape.frameWidth * shape.channels;
}

function isDepthwise({ groups, bias, pool }: Conv2dOperation, input: ProgramTensor): boolean {
  return groups > 1 && groups === input.image[2] && bias.length === groups && !pool;
}

/** Interleaved rows of one unit stay in the second-level cache. */
const DEPTHWISE_BYTES = 65536;
/** Channels of a unit: of each pixel a cache line. */
const DEPTHWISE_CHANNELS = 64;
/** The kernel reads 8 channels at once, beyond the last pixel too. */
const DEPTHWISE_SLACK = 16;

function depthwise(
  operation: Conv2dOperation,
  input: ProgramTensor,
  output: ProgramTensor,
  shape: ConvolutionShape,
  batch: number,
  { elementBytes, offset, productCost }: Arithmetic,
): CostedVariant {
  const builder = new VariantBuilder();
  const { kernel, stride, dilation, pads } = operation;
  const relaxed = elementBytes === 1;
  const rows = relaxed ? 4 : 2;
  // Every other row begins a group, unless the rows of one are further apart.
  const step = dilation[0] === 1 ? 2 : 1;
  const phases = stride[0] % step === 0 ? 1 : step;
  const tapGroups = rowGroups(kernel[0], rows, phases);
  const groupsApart = (rows * dilation[0]) / step;
  const groupsBelow = (tapGroups - 1) * groupsApart;
  const blockChannels = Math.min(DEPTHWISE_CHANNELS, shape.panels * PANEL);
  const groupBytes = shape.frameWidth * blockChannels * 4;
  const fitting = Math.floor(DEPTHWISE_BYTES / groupBytes) - groupsBelow;
  const bandRows = Math.min(shape.height, Math.max(4, Math.floor((fitting * step) / stride[0])));
  const groups = Math.floor(((bandRows - 1) * stride[0] + step - 1) / step) + groupsBelow + 1;
  const bands = Math.ceil(shape.height / bandRows);
  const blocks = Math.ceil(shape.channels / blockChannels);
  const taps: number[] = [];
  for (let group = 0; group < tapGroups; group++) {
    for (let kx = 0; kx < kernel[1]; kx++) {
      taps.push((group * groupsApart * shape.frameWidth + kx * dilation[1]) * blockChannels * 4);
    }
  }
  const block = builder.constant(`depthwise-shape-${rows}-${batch}`, () =>
    parameterBlock('Depthwise', {
      ...convolutionBlock(operation, output, shape, batch, 1),
      imageBytes: input.image[0] * input.image[1] * shape.channels,
      rowBytes: groupBytes,
      pixelBytes: shape.channels,
      segments: taps.length,
      offset,
      strideHeight: stride[0],
      strideWidth: stride[1],
      inHeight: input.image[0],
      inWidth: input.image[1],
      top: pads[0],
      left: pads[1],
      fill: input.zeroPoint,
      dilation: dilation[0],
      step,
      groupsBelow,
      blockChannels,
      blocks,
      bandRows,
      bands,
    }),
  );
  const layout = interleavedRows(kernel, relaxed ? '4xint8' : '2xint16', phases);
  const variant = builder.build(relaxed ? 'depthwise-relaxed' : 'depthwise', [
    call(
      relaxed ? 'depthwiseRelaxed' : 'depthwise16',
      [
        tensorAt(input.id),
        packedWeights(builder, operation, input, layout),
        builder.constant(`epilogue-${offset}-8`, () => packEpilogue(operation, output, shape, offset)),
        builder.constant(`taps-${rows}`, () => Int32Array.from(taps)),
        tensorAt(output.id),
        sideOf(operation),
        block,
        scratch,
      ],
      batch * bands * blocks,
      groups * groupBytes + DEPTHWISE_SLACK,
    ),
  ]);
  return { variant, cost: taps.length * rows * productCost };
}
