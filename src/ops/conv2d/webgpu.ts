/** Convolution on WebGPU: which kernels take a layer, with which tiles, and the order in which a device class prefers them. */
import type { Arithmetic } from '../../../shaders/arithmetic.wgsl.ts';
import { conv2dDepthwisePatchWgsl, patchOffsets } from '../../../shaders/conv2d-depthwise-patch.wgsl.ts';
import { conv2dDepthwiseWgsl } from '../../../shaders/conv2d-depthwise.wgsl.ts';
import { conv2dDirectWgsl } from '../../../shaders/conv2d-direct.wgsl.ts';
import { conv2dGroupedWgsl } from '../../../shaders/conv2d-grouped.wgsl.ts';
import { packLayer, type Conv2dLayer } from '../../../shaders/conv2d-layer.wgsl.ts';
import { conv2dMatvecWgsl } from '../../../shaders/conv2d-matvec.wgsl.ts';
import { conv2dQuadWgsl, quadPatches, type Conv2dQuadTile } from '../../../shaders/conv2d-quad.wgsl.ts';
import { type Conv2dShape, outputSize } from '../../../shaders/conv2d-shape.wgsl.ts';
import { conv2dSplitKWgsl, splitKBytes } from '../../../shaders/conv2d-splitk.wgsl.ts';
import { conv2dTiledWgsl, tiledBytes, tiledInvocations } from '../../../shaders/conv2d-tiled.wgsl.ts';
import type { Conv2dOperation, ProgramTensor, TensorId } from '../../program/program.ts';
import { channelWords, layGrid } from '../gpu-dispatch.ts';
import type { GpuBinding, GpuCapabilities, GpuDispatch, GpuKernel, GpuVariant } from '../gpu-kernel.ts';
import { windowOutput } from '../window.ts';
import {
  packBlockedWeights,
  packDepthwiseWeights,
  packEpilogue,
  packUnpackedWeights,
  packWeights,
  EXACT_WORDS,
} from './prepack.ts';

export const webgpuKernel: GpuKernel<Conv2dOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const layer = describeLayer(operation, tensor, batch, capabilities);
    const { shape } = layer;
    if (shape.groups > 1) {
      if (shape.groupInChannels === 1 && shape.outChannels === shape.groups) {
        return [
          ...depthwisePatches(layer).map(({ variant }) => variant),
          ...DEPTHWISE_PIXELS.map((pixels) => depthwise(layer, pixels)),
        ];
      }
      const aligned = shape.groupInChannels % 4 === 0 && (shape.outChannels / shape.groups) % 4 === 0;
      if (!aligned) return [grouped(layer)];
    }
    const candidates = [
      ...quads(layer),
      ...matvec(layer),
      ...tiled(layer),
      ...splitK(layer),
      ...direct(layer),
    ];
    return candidates.sort((a, b) => a.cost - b.cost).map(({ variant }) => variant);
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
interface WeightLayout {
  readonly name: string;
  /** Whether the weights' zero points are subtracted already. */
  readonly centred: boolean;
  pack(operation: Conv2dOperation): Uint32Array | Int32Array;
}

const PACKED: WeightLayout = { name: 'packed', centred: false, pack: packWeights };
const DEPTHWISE: WeightLayout = { name: 'depthwise', centred: false, pack: packDepthwiseWeights };
const UNPACKED: WeightLayout = { name: 'unpacked', centred: true, pack: packUnpackedWeights };

function blocked({ kernel }: Conv2dShape, words: number): WeightLayout {
  return {
    name: `blocked-${kernel.join('x')}-${words}`,
    centred: false,
    pack: (operation) => packBlockedWeights(operation, kernel, words),
  };
}

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
  const zeroPoints = layout.centred ? null : operation.weightZeroPoint;
  return {
    bindings,
    constants: [
      { key: `${owner}/weights-${layout.name}`, data: () => layout.pack(operation) },
      {
        key: `${owner}/epilogue${zeroPoints ? '-with-zero-points' : ''}`,
        data: () => packEpilogue(operation, zeroPoints, input),
      },
    ],
  };
}

function outputPixels(shape: Conv2dShape): number {
  const [height, width] = outputSize(shape);
  return shape.batch * height * width;
}

/** A variant, and what it is expected to cost beside the others of the same layer. */
interface Candidate {
  readonly variant: GpuVariant;
  readonly cost: number;
}

/**
 * What the default variant of a layer is chosen by; the tuner measures. Software adapters: instructions that SwiftShader makes for four
 * lanes, fitted to the times of the quad kernel's tiles (a load is a branch a lane; a carried accumulator a masked store; an addition of
 * Winograd's transforms reads and writes memory). Hardware: words
 * that a multiply-add waits for, idle invocations included.
 */
const SOFTWARE_COST = {
  load: 75,
  unpack: 24,
  swap: 1.5,
  multiplyAdd: 3.6,
  add: 4.7,
  carry: 11,
  dot: 45,
} as const;

/**
 * The families that a device has, the likeliest first. Software adapters and Metal have no packed dot of their own but twenty instructions
 * instead of it, so f32, which unpacks each value once, comes first there.
 */
function families({ packedDot, adapterClass }: GpuCapabilities): readonly Arithmetic[] {
  if (!packedDot) return ['f32', 'i32'];
  const emulated = adapterClass === 'software' || adapterClass === 'apple';
  return emulated ? ['f32', 'dot4I8Packed', 'i32'] : ['dot4I8Packed', 'f32', 'i32'];
}

/** K of the implicit GEMM in words of four channels. */
function depth({ kernel, groupInChannels }: Conv2dShape): number {
  return kernel[0] * kernel[1] * channelWords(groupInChannels);
}

function dispatchOf(
  layer: Layer,
  code: string,
  bindings: readonly GpuBinding[],
  workgroups: GpuDispatch['workgroups'],
): readonly GpuDispatch[] {
  return [{ label: layer.operation.name, code, bindings, workgroups }];
}

/** What reading weights in strides of a whole row of channels costs on a processor's caches, measured on dense layers. */
const STRIDED = 3;

/** Accumulators of an invocation of the direct kernel: pixels × words of four channels. */
const DIRECT_TILES = [
  { pixels: 4, words: 2 },
  { pixels: 4, words: 1 },
  { pixels: 1, words: 2 },
] as const;

function direct(layer: Layer): readonly Candidate[] {
  const { shape, capabilities } = layer;
  const groupOutWords = shape.outWords / shape.groups;
  const tiles = DIRECT_TILES.filter(({ words }) => words === 1 || groupOutWords % words === 0);
  return families(layer.capabilities).flatMap((arithmetic, rank) =>
    tiles
      .filter(({ pixels }) => pixels > 1 || !shape.pool)
      .map(({ pixels, words }): Candidate => {
        const tile = { arithmetic, words, pixels: shape.pool ? pixels / 4 : pixels };
        const { bindings, constants } = operands(layer, PACKED);
        const invocations = (Math.ceil(outputPixels(shape) / tile.pixels) * shape.outWords) / words;
        const { grid, workgroups } = layGrid(invocations, capabilities);
        const { load, unpack, multiplyAdd, dot } = SOFTWARE_COST;
        const loads = pixels + 4 * words;
        const multiply = arithmetic === 'dot4I8Packed' ? dot : 4 * multiplyAdd;
        const software =
          STRIDED * (invocations / 4) * (loads * (load + unpack) + 4 * pixels * words * multiply);
        const busy = Math.max(workgroups[0] * workgroups[1], BUSY_WORKGROUPS) * grid.workgroupSize;
        const hardware = busy * (pixels + 4 * words + 16 * rank);
        return {
          cost: depth(shape) * (capabilities.adapterClass === 'software' ? software : 4 * hardware),
          variant: {
            name: `direct-${pixels}x${words * 4}-${arithmetic}`,
            family: arithmetic,
            get dispatches() {
              return dispatchOf(layer, conv2dDirectWgsl(shape, tile, grid), bindings, workgroups);
            },
            constants,
            workspaces: [],
          },
        };
      }),
  );
}

/** Patches of the quad kernel (the convolution's pixels of one lane) and words of a quad. */
const QUAD_TILES = [
  { patch: [2, 4], words: 4 },
  { patch: [2, 4], words: 2 },
  { patch: [2, 2], words: 4 },
  { patch: [1, 8], words: 2 },
  { patch: [1, 4], words: 4 },
  { patch: [1, 2], words: 4 },
  { patch: [1, 1], words: 4 },
  { patch: [2, 2], words: 1 },
  { patch: [1, 2], words: 1 },
] as const satisfies readonly Pick<Conv2dQuadTile, 'patch' | 'words'>[];

/** Patches and words of the same kernel with Winograd's products. */
const WINOGRAD_TILES = [
  { patch: [2, 4], words: 4 },
  { patch: [2, 4], words: 2 },
  { patch: [2, 4], words: 1 },
  { patch: [2, 2], words: 4 },
  { patch: [2, 2], words: 2 },
] as const satisfies readonly Pick<Conv2dQuadTile, 'patch' | 'words'>[];

/** The widest kernel whose row of taps is unrolled. */
const UNROLLED_TAPS = 11;

/**
 * The tile that suits every image from 4×4 up. Where it is the default, most layers of a network share one kernel, and a software adapter
 * is ready a second sooner; larger tiles and Winograd run up to a third faster, which is for the tuner to find.
 */
const SHARED_TILE = { name: 'quad-2x2x16-f32', allowance: 0.65 } as const;

/** Small workgroups: the work of a small layer is then divided evenly among the processor's cores. */
const QUAD_WORKGROUP = 16;

/** Operands of a kernel for all layers of a kind: this layer's sizes are one more constant. */
function operandsWithSizes(
  layer: Layer,
  layout: WeightLayout,
  tile: string,
  sizes: () => Conv2dLayer,
): ReturnType<typeof operands> {
  const { bindings, constants } = operands(layer, layout);
  const { operation, shape } = layer;
  const key = `${operation.name}#${operation.output}/sizes-${tile}-${shape.batch}`;
  return {
    bindings: [...bindings, { kind: 'constant', index: constants.length }],
    constants: [...constants, { key, data: () => packLayer(sizes()) }],
  };
}

/** The kernel for software adapters, which run subgroups of four lanes. */
function quads(layer: Layer): readonly Candidate[] {
  const { capabilities } = layer;
  if (capabilities.adapterClass !== 'software' || capabilities.subgroupSize !== 4) return [];
  const shape = flatten(layer.shape);
  if (shape.weightZeroPoint || shape.kernel[1] > UNROLLED_TAPS) return [];
  const [kernelHeight, kernelWidth] = shape.kernel;
  const takesWinograd =
    kernelHeight === 3 &&
    kernelWidth === 3 &&
    [...shape.stride, ...shape.dilation].every((length) => length === 1);
  const tiles: readonly Omit<Conv2dQuadTile, 'workgroupSize'>[] = [
    ...QUAD_TILES.map((tile) => ({ ...tile, winograd: false })),
    ...(takesWinograd ? WINOGRAD_TILES.map((tile) => ({ ...tile, winograd: true })) : []),
  ];
  return tiles
    .filter(
      ({ patch, words }) =>
        (shape.outWords / shape.groups) % words === 0 &&
        (!shape.pool || patch.every((length) => length % 2 === 0) || patch.every((length) => length === 1)) &&
        // Square patches do as well wherever they fit, and fewer kinds are fewer kernels to compile.
        (patch[1] <= 2 || patch[0] === 2 || shape.convHeight % 2 === 1),
    )
    .map((choice): Candidate => {
      const { patch, words, winograd } = choice;
      const { rows, columns, perQuad } = quadPatches(shape, patch);
      const count = (Math.ceil((shape.batch * rows * columns) / perQuad) * shape.outWords) / words;
      const { grid, workgroups } = layGrid(count * 4, capabilities, QUAD_WORKGROUP);
      // Winograd takes all rows of the kernel in a step.
      const taps = winograd ? kernelHeight * kernelWidth : kernelWidth;
      const steps = (channelWords(shape.groupInChannels) * kernelHeight * kernelWidth) / taps;
      const cycles = winograd ? winogradCycles(choice) : directCycles(choice, kernelWidth);
      const name = `quad-${winograd ? 'winograd-' : ''}${patch.join('x')}x${words * 4}-f32`;
      const { bindings, constants } = operandsWithSizes(layer, blocked(shape, words), name, () => ({
        shape,
        grid,
        patchRows: rows,
        patchColumns: columns,
        steps,
        flushSteps: Math.floor(EXACT_WORDS / taps),
      }));
      return {
        cost: count * steps * cycles * (name === SHARED_TILE.name ? SHARED_TILE.allowance : 1),
        variant: {
          name,
          family: 'f32',
          get dispatches() {
            const tile = { ...choice, workgroupSize: QUAD_WORKGROUP };
            return dispatchOf(layer, conv2dQuadWgsl(shape, tile), bindings, workgroups);
          },
          constants,
          workspaces: [],
        },
      };
    });
}

type QuadTile = Pick<Conv2dQuadTile, 'patch' | 'words'>;

/** Instructions of a step: a row of taps, a word of input channels. */
function directCycles({ patch, words }: QuadTile, taps: number): number {
  const { load, unpack, swap, multiplyAdd, carry } = SOFTWARE_COST;
  const pixels = patch[0] * patch[1];
  const inputs = patch[0] * (patch[1] + taps - 1);
  return (
    (inputs + taps * words) * (load + unpack) +
    12 * inputs * swap +
    16 * taps * words * pixels * multiplyAdd +
    4 * pixels * words * carry
  );
}

/** Instructions of a step: all nine taps, a word of input channels. */
function winogradCycles({ patch, words }: QuadTile): number {
  const { load, unpack, swap, multiplyAdd, add, carry } = SOFTWARE_COST;
  const pixels = patch[0] * patch[1];
  const inputs = 4 * (patch[1] + 2);
  const transformed = 4 * pixels;
  const additions = 4 * (inputs + transformed + 40 * words) + 24 * pixels * words;
  return (
    (inputs + 9 * words) * (load + unpack) +
    additions * add +
    12 * transformed * swap +
    16 * transformed * words * multiplyAdd +
    4 * pixels * words * carry
  );
}

/** Tiles of the matrix-vector kernel, and the most pixels that it takes. */
const MATVEC_TILES = [
  { words: 4, kWords: 4 },
  { words: 2, kWords: 4 },
  { words: 1, kWords: 2 },
  { words: 1, kWords: 1 },
] as const;
const MATVEC_PIXELS = 3;

/** The kernel of dense layers at small batch for software adapters, which run subgroups of four lanes. */
function matvec(layer: Layer): readonly Candidate[] {
  const { capabilities } = layer;
  if (capabilities.adapterClass !== 'software' || capabilities.subgroupSize !== 4) return [];
  const shape = flatten(layer.shape);
  const pixels = outputPixels(shape);
  const dense = shape.kernel.every((length) => length === 1) && shape.height === 1 && shape.batch === 1;
  if (!dense || shape.pool || shape.groups > 1 || shape.weightZeroPoint || pixels > MATVEC_PIXELS) return [];
  const arithmetics = capabilities.packedDot ? (['dot4I8Packed', 'f32'] as const) : (['f32'] as const);
  return arithmetics.flatMap((arithmetic) =>
    MATVEC_TILES.filter(
      ({ words, kWords }) => shape.outWords % words === 0 && shape.inWords % kWords === 0,
    ).map(({ words, kWords }): Candidate => {
      const quads = shape.outWords / words;
      const { grid, workgroups } = layGrid(quads * 4, capabilities, QUAD_WORKGROUP);
      const name = `matvec-${words * 4}x${kWords * 4}-${arithmetic}`;
      const { bindings, constants } = operandsWithSizes(layer, blocked(shape, words), name, () => ({
        shape,
        grid,
        steps: shape.inWords,
        flushSteps: arithmetic === 'f32' ? EXACT_WORDS : shape.inWords,
      }));
      const { load, unpack, swap, multiplyAdd, carry, dot } = SOFTWARE_COST;
      const inputs = pixels / kWords;
      const cycles =
        arithmetic === 'f32'
          ? (inputs + words) * (load + unpack) +
            4 * (pixels - inputs) * swap +
            4 * pixels * words * multiplyAdd
          : (inputs + words) * load + (pixels - inputs) * swap + pixels * words * dot;
      return {
        cost: shape.inWords * quads * (cycles + (pixels * words * carry) / kWords),
        variant: {
          name,
          family: arithmetic,
          get dispatches() {
            const tile = { arithmetic, words, kWords, pixels, workgroupSize: QUAD_WORKGROUP };
            return dispatchOf(layer, conv2dMatvecWgsl(shape, tile), bindings, workgroups);
          },
          constants,
          workspaces: [],
        },
      };
    }),
  );
}

/**
 * The same layer as a matrix product over one long row of pixels, where windows neither overlap nor leave the image: 1×1 kernels, and
 * kernels that are the whole image. The data stays where it is.
 */
function flatten(shape: Conv2dShape): Conv2dShape {
  const { batch, height, width, inWords, kernel, stride, pad, convHeight, convWidth } = shape;
  if (shape.pool || shape.groups > 1 || shape.weightZeroPoint || pad[0] !== 0 || pad[1] !== 0) return shape;
  const row = { ...shape, batch: 1, height: 1, convHeight: 1, kernel: [1, 1], stride: [1, 1] } as const;
  if (kernel[0] === 1 && kernel[1] === 1 && stride[0] === 1 && stride[1] === 1) {
    // Padding on the right or at the bottom makes the output larger than the input.
    if (convHeight !== height || convWidth !== width) return shape;
    return { ...row, width: batch * height * width, convWidth: batch * height * width };
  }
  if (kernel[0] !== height || kernel[1] !== width || convHeight !== 1 || convWidth !== 1) return shape;
  const words = height * width * inWords;
  return { ...row, width: batch, convWidth: batch, inWords: words, groupInChannels: words * 4 };
}

/**
 * Tiles of the kernel with workgroup memory, for GPUs. 128×128 wants 16 KB and 64 accumulators an invocation. `time` is that of a workgroup
 * with a core to itself, of the first tile's, measured on an NVIDIA H200 (bench/results/gpu-nvidia-h200.json, conv4_2 at batch 1): larger
 * tiles read less, and yet an output takes them longer.
 */
const TILED_TILES = [
  { tileM: 64, tileN: 64, kWords: 16, threadM: 4, threadN: 4, time: 1 },
  { tileM: 128, tileN: 128, kWords: 8, threadM: 8, threadN: 8, time: 5.3 },
  { tileM: 128, tileN: 64, kWords: 16, threadM: 8, threadN: 4, time: 3 },
  { tileM: 64, tileN: 64, kWords: 32, threadM: 4, threadN: 4, time: 0.95 },
  { tileM: 32, tileN: 64, kWords: 16, threadM: 4, threadN: 4, time: 0.76 },
  { tileM: 32, tileN: 32, kWords: 16, threadM: 4, threadN: 4, time: 0.71 },
] as const;

/** Words that a multiply-add waits for in a step of the first tile: two vectors for sixteen of them, and what is loaded. */
const TILED_STEP = (64 * 64) / 2 + 2 * (64 + 64);

function tiled(layer: Layer): readonly Candidate[] {
  const { capabilities } = layer;
  if (layer.shape.groups > 1) return [];
  const shape = flatten(layer.shape);
  const { limits } = capabilities;
  const rows = outputPixels(shape) * (shape.pool ? 4 : 1);
  return families(layer.capabilities).flatMap((arithmetic, rank) =>
    TILED_TILES.map((tile) => ({ ...tile, arithmetic }))
      .filter((tile) => tiledInvocations(tile) <= limits.maxComputeInvocationsPerWorkgroup)
      .filter((tile) => tiledBytes(tile) <= limits.maxComputeWorkgroupStorageSize)
      .filter((tile) => Math.ceil(rows / tile.tileM) <= limits.maxComputeWorkgroupsPerDimension)
      .map((tile): Candidate => {
        const { tileM, tileN, kWords, threadM, threadN, time } = tile;
        const { bindings, constants } = operands(layer, PACKED);
        const columns = Math.ceil(rows / tileM);
        const blocks = Math.ceil((shape.outWords * 4) / tileN);
        // Too few workgroups leave the device idle: as if there were as many as a middling GPU runs at a time.
        const busy = Math.max(columns * blocks, BUSY_WORKGROUPS);
        const perStep = time * TILED_STEP + tileM * tileN * rank;
        const software = columns * blocks * tileM * tileN * SOFTWARE_COST.load;
        return {
          cost: depth(shape) * (capabilities.adapterClass === 'software' ? software : busy * perStep),
          variant: {
            name: `tiled-${tileM}x${tileN}x${kWords * 4}-${threadM}x${threadN}-${arithmetic}`,
            family: arithmetic,
            get dispatches() {
              return dispatchOf(layer, conv2dTiledWgsl(shape, tile), bindings, [columns, blocks, 1]);
            },
            constants,
            workspaces: [],
          },
        };
      }),
  );
}

/** Workgroups that keep a GPU of some dozens of cores busy. */
const BUSY_WORKGROUPS = 64;

/** Outputs of a workgroup of the split-K kernel, and the invocations that share the K of each. */
const SPLIT_K_TILES = [
  { pixels: 1, words: 8, slices: 16 },
  { pixels: 4, words: 8, slices: 16 },
] as const;

/** The most pixels for which splitting K is worth trying. */
const SPLIT_K_PIXELS = 64;

function splitK(layer: Layer): readonly Candidate[] {
  const { shape, capabilities } = layer;
  if (shape.groups > 1 || outputPixels(shape) > SPLIT_K_PIXELS) return [];
  return families(layer.capabilities).flatMap((arithmetic, rank) =>
    SPLIT_K_TILES.filter(
      (tile) =>
        splitKBytes({ ...tile, arithmetic }, shape.pool) <=
        capabilities.limits.maxComputeWorkgroupStorageSize,
    ).map((tile): Candidate => {
      const { pixels, words, slices } = tile;
      const { bindings, constants } = operands(layer, PACKED);
      const columns = Math.ceil(shape.outWords / words);
      const rows = Math.ceil(outputPixels(shape) / pixels);
      const taps = pixels * (shape.pool ? 4 : 1);
      const busy = Math.max(columns * rows, BUSY_WORKGROUPS);
      const { load, unpack } = SOFTWARE_COST;
      const software = (columns * rows * words * (4 + taps) * (load + unpack)) / 2;
      const hardware = busy * words * (taps + 4 + 16 * rank);
      return {
        cost: depth(shape) * (capabilities.adapterClass === 'software' ? software : hardware),
        variant: {
          name: `split-k-${pixels}x${words * 4}-${slices}-${arithmetic}`,
          family: arithmetic,
          get dispatches() {
            const code = conv2dSplitKWgsl(shape, { ...tile, arithmetic });
            return dispatchOf(layer, code, bindings, [columns, rows, 1]);
          },
          constants,
          workspaces: [],
        },
      };
    }),
  );
}

/** Patches of the depthwise kernel for software adapters. */
const DEPTHWISE_PATCHES = [
  [4, 4],
  [2, 4],
  [2, 2],
  [1, 1],
] as const;

/** What an invocation of it costs, in instructions of SwiftShader for four lanes, fitted to the times of MobileNetV2's layers. */
const DEPTHWISE_COST = { invocation: 2590, load: 187, pixel: 1480 } as const;

/** The most inputs and taps of a patch: all are unrolled, and a kernel takes longer to compile the more there are. */
const DEPTHWISE_LOADS = 128;

/** The depthwise kernel for software adapters. */
function depthwisePatches(layer: Layer): readonly Candidate[] {
  const { shape, capabilities } = layer;
  if (capabilities.adapterClass !== 'software' || shape.pool || shape.weightZeroPoint) return [];
  const [outHeight, outWidth] = outputSize(shape);
  return DEPTHWISE_PATCHES.map((patch) => {
    const { rows, columns } = patchOffsets(shape, patch);
    return { patch, loads: rows.length * columns.length + shape.kernel[0] * shape.kernel[1] };
  })
    .filter(({ loads }) => loads <= DEPTHWISE_LOADS)
    .map(({ patch, loads }): Candidate => {
      const patchRows = Math.ceil(outHeight / patch[0]);
      const patchColumns = Math.ceil(outWidth / patch[1]);
      const invocations = shape.batch * patchRows * patchColumns * shape.outWords;
      const { grid, workgroups } = layGrid(invocations, capabilities, QUAD_WORKGROUP);
      const name = `depthwise-${patch.join('x')}x4-f32`;
      const { bindings, constants } = operandsWithSizes(layer, DEPTHWISE, name, () => ({
        shape,
        grid,
        patchRows,
        patchColumns,
        steps: 1,
        flushSteps: 1,
      }));
      const { invocation, load, pixel } = DEPTHWISE_COST;
      return {
        cost: invocations * (invocation + load * loads + pixel * patch[0] * patch[1]),
        variant: {
          name,
          family: 'f32',
          get dispatches() {
            const tile = { patch, workgroupSize: QUAD_WORKGROUP };
            return dispatchOf(layer, conv2dDepthwisePatchWgsl(shape, tile), bindings, workgroups);
          },
          constants,
          workspaces: [],
        },
      };
    })
    .sort((a, b) => a.cost - b.cost);
}

/** Outputs of an invocation of the depthwise kernel for GPUs. */
const DEPTHWISE_PIXELS = [4, 1] as const;

function depthwise(layer: Layer, pixels: number): GpuVariant {
  const { shape, capabilities } = layer;
  const { bindings, constants } = operands(layer, UNPACKED);
  const invocations = Math.ceil(outputPixels(shape) / pixels) * shape.outWords;
  const { grid, workgroups } = layGrid(invocations, capabilities);
  return {
    name: `depthwise-${pixels}x4-i32`,
    family: 'i32',
    get dispatches() {
      return dispatchOf(layer, conv2dDepthwiseWgsl(shape, pixels, grid), bindings, workgroups);
    },
    constants,
    workspaces: [],
  };
}

function grouped(layer: Layer): GpuVariant {
  const { shape, capabilities } = layer;
  const { bindings, constants } = operands(layer, UNPACKED);
  const { grid, workgroups } = layGrid(outputPixels(shape) * shape.outWords, capabilities);
  return {
    name: 'grouped-1x4-i32',
    family: 'i32',
    get dispatches() {
      return dispatchOf(layer, conv2dGroupedWgsl(shape, grid), bindings, workgroups);
    },
    constants,
    workspaces: [],
  };
}
