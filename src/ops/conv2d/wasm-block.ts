/** What the convolution kernels of the WebAssembly backend are called with, whichever of them it is. */
import { type Conv2dOperation, paddedChannels, type ProgramTensor } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, type VariantBuilder } from '../wasm-call.ts';
import type { WasmArgument, WasmCall } from '../wasm-kernel.ts';
import { type BlockFields, CONVOLUTION_MODES } from '../wasm-parameters.ts';
import type { ConvolutionShape } from './wasm-shape.ts';
import type { WeightLayout } from './weight-layout.ts';

function modeOf({ requantize, pool, residual }: Conv2dOperation): (typeof CONVOLUTION_MODES)[number] {
  if (!requantize) return 'int32';
  if (residual) return 'residual';
  return pool ? 'pool' : 'plain';
}

/** Pixels of one image that the GEMM computes: with a pool, those of whole windows. */
function pixelsOf({ pool }: Conv2dOperation, { height, width }: ConvolutionShape): number {
  return pool ? 4 * (height >> 1) * (width >> 1) : height * width;
}

/** Tiles of 4 pixels that share one unit of work: their part of the image stays in the second-level cache. */
const TILES_PER_UNIT = 64;

/** The parameter block `Convolution`. */
export function convolutionBlock(
  operation: Conv2dOperation,
  output: ProgramTensor,
  shape: ConvolutionShape,
  batch: number,
  elementBytes: number,
): BlockFields<'Convolution'> {
  const { stride, requantize, residual } = operation;
  const rows = batch * pixelsOf(operation, shape);
  return {
    imageBytes: shape.frameHeight * shape.frameWidth * shape.channels * elementBytes,
    rowBytes: stride[0] * shape.frameWidth * shape.channels * elementBytes,
    pixelBytes: stride[1] * shape.channels * elementBytes,
    height: shape.height,
    width: shape.width,
    segments: shape.segmentOffsets.length,
    segmentLength: shape.segmentLength,
    panels: shape.panels,
    quads: paddedChannels(shape.outChannels) / 4,
    rows,
    tilesPerUnit: Math.min(Math.ceil(rows / 4), TILES_PER_UNIT),
    mode: CONVOLUTION_MODES.indexOf(modeOf(operation)),
    zeroPoint: requantize?.zeroPoint ?? 0,
    residualMultiplier: residual?.multipliers[0] ?? 0,
    sideMultiplier: residual?.multipliers[1] ?? 0,
    residualBias: residual
      ? -residual.multipliers.reduce(
          (sum, multiplier, i) => sum + multiplier * residual.inputZeroPoints[i],
          0,
        )
      : 0,
    residualShift: residual?.shift ?? 0,
    outputZeroPoint: output.zeroPoint,
    pointwise: 0,
    offset: 0,
  };
}

/** Copies the input into its frame: as int16, or as int8 less an offset. */
export function padCall(
  builder: VariantBuilder,
  operation: Conv2dOperation,
  input: ProgramTensor,
  shape: Pick<ConvolutionShape, 'frameHeight' | 'frameWidth' | 'channels'>,
  frame: WasmArgument,
  batch: number,
  narrow?: { readonly offset: number },
): WasmCall {
  const offset = narrow?.offset ?? 0;
  const block = builder.constant(`frame-${shape.frameHeight}x${shape.frameWidth}-${offset}`, () =>
    parameterBlock('Frame', {
      height: input.image[0],
      rowElements: input.image[1] * shape.channels,
      frameHeight: shape.frameHeight,
      frameRowElements: shape.frameWidth * shape.channels,
      top: operation.pads[0],
      leftElements: operation.pads[1] * shape.channels,
      fill: input.zeroPoint,
      offset,
    }),
  );
  return call(narrow ? 'pad8' : 'pad16', [tensorAt(input.id), frame, block], batch * shape.frameHeight);
}

/** The other summand of a fused residual addition; without one, an address that is not read. */
export function sideOf(operation: Conv2dOperation): WasmArgument {
  return tensorAt(operation.inputs[operation.residual ? 1 : 0]);
}

/**
 * The layer's weights in `layout`. Layers that share them, of one program or several, share what is packed.
 *
 * @param variant what the layout depends on beside the layer's sizes
 */
export function packedWeights(
  builder: VariantBuilder,
  { weights, kernel, groups }: Conv2dOperation,
  input: ProgramTensor,
  layout: WeightLayout,
  variant = '',
): WasmArgument {
  const sizes = `${kernel.join('x')} ${input.image[2]}/${groups}>${weights.outChannels}`;
  return builder.constant(`weights-${layout.name} ${sizes} ${variant}`, () => layout.pack(weights), {
    of: weights,
    packing: layout.packing?.(weights),
  });
}
