/** Convolution on WebGPU: which kernels take a layer, with which tiles, and the order in which a device class prefers them. */
import { conv2dDepthwiseWgsl } from '../../../shaders/conv2d-depthwise.wgsl.ts';
import { conv2dDirectWgsl, type Conv2dDirectTile } from '../../../shaders/conv2d-direct.wgsl.ts';
import { conv2dGroupedWgsl } from '../../../shaders/conv2d-grouped.wgsl.ts';
import { type Conv2dQuadTile, conv2dQuadWgsl } from '../../../shaders/conv2d-quad.wgsl.ts';
import { type Conv2dShape, outputSize } from '../../../shaders/conv2d-shape.wgsl.ts';
import type { Conv2dOperation, ProgramTensor, TensorId } from '../../program/program.ts';
import { channelWords, layGrid } from '../gpu-dispatch.ts';
import type { GpuBinding, GpuCapabilities, GpuKernel, GpuVariant } from '../gpu-kernel.ts';
import { windowOutput } from '../window.ts';
import { packEpilogue, packUnpackedWeights, packWeights, stepsToFlush } from './prepack.ts';

export const webgpuKernel: GpuKernel<Conv2dOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const layer = describeLayer(operation, tensor, batch, capabilities);
    const { shape } = layer;
    if (shape.groups > 1 && shape.groupInChannels === 1 && shape.outChannels === shape.groups) {
      return DEPTHWISE_PIXELS.map((pixels) => depthwise(layer, pixels));
    }
    const aligned = shape.groupInChannels % 4 === 0 && (shape.outChannels / shape.groups) % 4 === 0;
    if (shape.groups > 1 && !aligned) return [grouped(layer)];
    return [
      ...quadTiles(layer).map((tile) => quad(layer, tile)),
      ...directTiles(layer).map((tile) => direct(layer, tile)),
    ];
  },

  tuningKey(operation, tensor, batch) {
    const { kernel, stride, dilation, groups, pool, residual, requantize, weightZeroPoint } = operation;
    const [height, width, channels] = tensor(operation.inputs[0]).shape;
    const parts = [
      `conv2d ${kernel.join('x')}s${stride.join('x')}p${operation.pads.join(',')}`,
      dilation.some((d) => d > 1) && `d${dilation.join('x')}`,
      `${batch}x${height}x${width}x${channels}→${operation.bias.length}`,
      groups > 1 && `g${groups}`,
      pool && 'pool',
      residual && 'residual',
      !requantize && 'int32',
      weightZeroPoint && 'zw',
    ];
    return parts.filter(Boolean).join(' ');
  },
};

/** A layer as its kernels see it. */
interface Layer {
  readonly operation: Conv2dOperation;
  readonly input: ProgramTensor;
  readonly shape: Conv2dShape;
  readonly capabilities: GpuCapabilities;
}

function describeLayer(
  operation: Conv2dOperation,
  tensor: (id: TensorId) => ProgramTensor,
  batch: number,
  capabilities: GpuCapabilities,
): Layer {
  const input = tensor(operation.inputs[0]);
  const [convHeight, convWidth] = windowOutput(operation, input.shape);
  const outChannels = operation.bias.length;
  const shape: Conv2dShape = {
    batch,
    height: input.shape[0],
    width: input.shape[1],
    inWords: channelWords(input.shape[2]),
    convHeight,
    convWidth,
    outWords: channelWords(outChannels),
    outChannels,
    groups: operation.groups,
    groupInChannels: input.shape[2] / operation.groups,
    kernel: operation.kernel,
    stride: operation.stride,
    pad: [operation.pads[0], operation.pads[1]],
    dilation: operation.dilation,
    pool: operation.pool,
    residual: operation.residual !== null,
    int32: operation.requantize === null,
    weightZeroPoint: operation.weightZeroPoint !== null,
  };
  return { operation, input, shape, capabilities };
}

/** How a kernel reads the weights of a layer. */
type WeightLayout = 'packed' | 'unpacked';

/** Bindings and constants that the kernels of this operator have in common. */
function operands(
  { operation, input }: Layer,
  layout: WeightLayout,
): { bindings: readonly GpuBinding[]; constants: GpuVariant['constants'] } {
  const bindings: GpuBinding[] = [
    { kind: 'tensor', tensor: operation.inputs[0], access: 'read' },
    { kind: 'constant', index: 0 },
    { kind: 'constant', index: 1 },
    { kind: 'tensor', tensor: operation.output, access: 'write' },
  ];
  if (operation.residual) bindings.push({ kind: 'tensor', tensor: operation.inputs[1], access: 'read' });
  const owner = `${operation.name}#${operation.output}`;
  const pack = layout === 'packed' ? packWeights : packUnpackedWeights;
  // Unpacked weights have their zero points subtracted.
  const zeroPoints = layout === 'packed' ? operation.weightZeroPoint : null;
  return {
    bindings,
    constants: [
      { key: `${owner}/weights-${layout}`, data: () => pack(operation) },
      { key: `${owner}/epilogue-${layout}`, data: () => packEpilogue(operation, zeroPoints, input) },
    ],
  };
}

function outputPixels(shape: Conv2dShape): number {
  const [height, width] = outputSize(shape);
  return shape.batch * height * width;
}

/** Tiles of the direct kernel that divide the layer's channels. */
function directTiles({ shape, capabilities }: Layer): readonly Conv2dDirectTile[] {
  const families = capabilities.packedDot
    ? (['dot4I8Packed', 'f32', 'i32'] as const)
    : (['f32', 'i32'] as const);
  const groupOutWords = shape.outWords / shape.groups;
  return families
    .filter((arithmetic) => arithmetic === 'dot4I8Packed' || !shape.weightZeroPoint)
    .flatMap((arithmetic) =>
      DIRECT_TILES.filter(({ words }) => groupOutWords % words === 0).map(({ pixels, words }) => ({
        arithmetic,
        words,
        // A pooled output has four accumulators.
        pixels: shape.pool ? pixels / 4 : pixels,
      })),
    );
}

/** Accumulators of an invocation: pixels × words of four channels. */
const DIRECT_TILES = [
  { pixels: 4, words: 2 },
  { pixels: 4, words: 1 },
] as const;

function direct(layer: Layer, tile: Conv2dDirectTile): GpuVariant {
  const { operation, shape, capabilities } = layer;
  const { bindings, constants } = operands(layer, 'packed');
  const blocks = (Math.ceil(outputPixels(shape) / tile.pixels) * shape.outWords) / tile.words;
  const { grid, workgroups } = layGrid(blocks, capabilities);
  const code = conv2dDirectWgsl(shape, tile, grid);
  const pixels = shape.pool ? tile.pixels * 4 : tile.pixels;
  return {
    name: `direct-${pixels}x${tile.words * 4}-${tile.arithmetic}`,
    family: tile.arithmetic,
    dispatches: [{ label: operation.name, code, bindings, workgroups }],
    constants,
    workspaces: [],
  };
}

/** Patches of the quad kernel, the convolution's pixels of one lane, and words of a quad. */
const QUAD_TILES = [
  { patch: [1, 8], words: 4 },
  { patch: [1, 8], words: 2 },
  { patch: [1, 4], words: 4 },
  { patch: [2, 4], words: 4 },
  { patch: [2, 4], words: 2 },
  { patch: [2, 2], words: 4 },
  { patch: [1, 1], words: 4 },
] as const satisfies readonly Omit<Conv2dQuadTile, 'flushSteps'>[];

/** Tiles of the quad kernel that fit the layer, the cheapest first. */
function quadTiles({ operation, shape, capabilities }: Layer): readonly Conv2dQuadTile[] {
  if (capabilities.subgroupSize < 4 || shape.weightZeroPoint) return [];
  const groupOutWords = shape.outWords / shape.groups;
  const flushSteps = stepsToFlush(operation);
  return QUAD_TILES.filter(
    ({ patch, words }) => groupOutWords % words === 0 && (!shape.pool || patch[0] % 2 === 0),
  ).map((tile) => ({ ...tile, flushSteps }));
}

function quad(layer: Layer, tile: Conv2dQuadTile): GpuVariant {
  const { operation, shape, capabilities } = layer;
  const { bindings, constants } = operands(layer, 'packed');
  const [height, width] = shape.pool ? outputSize(shape).map((size) => size * 2) : outputSize(shape);
  const patches = shape.batch * Math.ceil(height! / tile.patch[0]) * Math.ceil(width! / tile.patch[1]);
  const quads = (Math.ceil(patches / 4) * shape.outWords) / tile.words;
  const { grid, workgroups } = layGrid(quads * 4, capabilities, 16);
  return {
    name: `quad-${tile.patch.join('x')}x${tile.words * 4}-f32`,
    family: 'f32',
    dispatches: [{ label: operation.name, code: conv2dQuadWgsl(shape, tile, grid), bindings, workgroups }],
    constants,
    workspaces: [],
  };
}

const DEPTHWISE_PIXELS = [4, 1] as const;

function depthwise(layer: Layer, pixels: number): GpuVariant {
  const { operation, shape, capabilities } = layer;
  const { bindings, constants } = operands(layer, 'unpacked');
  const { grid, workgroups } = layGrid(
    Math.ceil(outputPixels(shape) / pixels) * shape.outWords,
    capabilities,
  );
  const code = conv2dDepthwiseWgsl(shape, pixels, grid);
  return {
    name: `depthwise-${pixels}x4-i32`,
    family: 'i32',
    dispatches: [{ label: operation.name, code, bindings, workgroups }],
    constants,
    workspaces: [],
  };
}

function grouped(layer: Layer): GpuVariant {
  const { operation, shape, capabilities } = layer;
  const { bindings, constants } = operands(layer, 'unpacked');
  const { grid, workgroups } = layGrid(outputPixels(shape) * shape.outWords, capabilities);
  return {
    name: 'grouped-1x4-i32',
    family: 'i32',
    dispatches: [{ label: operation.name, code: conv2dGroupedWgsl(shape, grid), bindings, workgroups }],
    constants,
    workspaces: [],
  };
}
