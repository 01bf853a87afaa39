/** Convolution on GPUs: kernels with the layer's sizes as constants, in each of the arithmetic families. They run on software adapters, too. */
import { conv2dDepthwiseWgsl } from '../../../shaders/conv2d-depthwise.wgsl.ts';
import { conv2dDirectWgsl } from '../../../shaders/conv2d-direct.wgsl.ts';
import { conv2dGroupedWgsl } from '../../../shaders/conv2d-grouped.wgsl.ts';
import { kWordsOf } from '../../../shaders/conv2d-shape.wgsl.ts';
import { conv2dSplitKWgsl, splitKBytes } from '../../../shaders/conv2d-split-k.wgsl.ts';
import { conv2dTiledWgsl, tiledBytes, tiledInvocations } from '../../../shaders/conv2d-tiled.wgsl.ts';
import { arithmeticFamilies, layGrid } from '../gpu-dispatch.ts';
import type { GpuVariant } from '../gpu-kernel.ts';
import { storedBits } from './stored-bits.ts';
import { bitsSuffix, dispatchOf, flatten, operands, outputPixels, SOFTWARE_COST } from './webgpu-layer.ts';
import { packed, UNPACKED } from './webgpu-layouts.ts';
import type { Candidate, Layer } from './webgpu-layer.ts';

/** Workgroups that keep a GPU of some dozens of cores busy. */
const BUSY_WORKGROUPS = 64;

/** What reading weights in strides of a whole row of channels costs on a processor's caches, measured on dense layers. */
const STRIDED = 3;

/** Accumulators of an invocation of the direct kernel: pixels × words of four channels. */
const DIRECT_TILES = [
  { pixels: 4, words: 2 },
  { pixels: 4, words: 1 },
  { pixels: 1, words: 2 },
] as const;

export function direct(layer: Layer): readonly Candidate[] {
  const { operation, shape, capabilities } = layer;
  const layout = packed(storedBits(operation));
  const groupOutWords = shape.outWords / shape.groups;
  const tiles = DIRECT_TILES.filter(({ words }) => words === 1 || groupOutWords % words === 0);
  return arithmeticFamilies(layer.capabilities).flatMap((arithmetic, rank) =>
    tiles
      .filter(({ pixels }) => pixels > 1 || !shape.pool)
      .map(({ pixels, words }): Candidate => {
        const tile = { arithmetic, words, pixels: shape.pool ? pixels / 4 : pixels };
        const { bindings, constants, weights } = operands(layer, layout);
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
          cost: kWordsOf(shape) * (capabilities.adapterClass === 'software' ? software : 4 * hardware),
          variant: {
            name: `direct-${pixels}x${words * 4}-${arithmetic}${bitsSuffix(layout)}`,
            family: arithmetic,
            get dispatches() {
              return dispatchOf(layer, conv2dDirectWgsl(shape, tile, grid, weights), bindings, workgroups);
            },
            constants,
            workspaces: [],
          },
        };
      }),
  );
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

export function tiled(layer: Layer): readonly Candidate[] {
  const { operation, capabilities } = layer;
  if (layer.shape.groups > 1) return [];
  const layout = packed(storedBits(operation));
  const shape = flatten(layer.shape);
  const { limits } = capabilities;
  const rows = outputPixels(shape) * (shape.pool ? 4 : 1);
  return arithmeticFamilies(layer.capabilities).flatMap((arithmetic, rank) =>
    TILED_TILES.map((tile) => ({ ...tile, arithmetic }))
      .filter((tile) => tiledInvocations(tile) <= limits.maxComputeInvocationsPerWorkgroup)
      .filter((tile) => tiledBytes(tile) <= limits.maxComputeWorkgroupStorageSize)
      .filter((tile) => Math.ceil(rows / tile.tileM) <= limits.maxComputeWorkgroupsPerDimension)
      .map((tile): Candidate => {
        const { tileM, tileN, kWords, threadM, threadN, time } = tile;
        const { bindings, constants, weights } = operands(layer, layout);
        const columns = Math.ceil(rows / tileM);
        const blocks = Math.ceil((shape.outWords * 4) / tileN);
        // Too few workgroups leave the device idle: as if there were as many as a middling GPU runs at a time.
        const busy = Math.max(columns * blocks, BUSY_WORKGROUPS);
        const perStep = time * TILED_STEP + tileM * tileN * rank;
        const software = columns * blocks * tileM * tileN * SOFTWARE_COST.load;
        return {
          cost: kWordsOf(shape) * (capabilities.adapterClass === 'software' ? software : busy * perStep),
          variant: {
            name: `tiled-${tileM}x${tileN}x${kWords * 4}-${threadM}x${threadN}-${arithmetic}${bitsSuffix(layout)}`,
            family: arithmetic,
            get dispatches() {
              return dispatchOf(layer, conv2dTiledWgsl(shape, tile, weights), bindings, [columns, blocks, 1]);
            },
            constants,
            workspaces: [],
          },
        };
      }),
  );
}

/** Outputs of a workgroup of the split-K kernel, and the invocations that share the K of each. */
const SPLIT_K_TILES = [
  { pixels: 1, words: 8, slices: 16 },
  { pixels: 4, words: 8, slices: 16 },
] as const;

/** The most pixels for which splitting K is worth trying. */
const SPLIT_K_PIXELS = 64;

export function splitK(layer: Layer): readonly Candidate[] {
  const { operation, shape, capabilities } = layer;
  if (shape.groups > 1 || outputPixels(shape) > SPLIT_K_PIXELS) return [];
  const layout = packed(storedBits(operation));
  return arithmeticFamilies(layer.capabilities).flatMap((arithmetic, rank) =>
    SPLIT_K_TILES.filter(
      (tile) =>
        splitKBytes({ ...tile, arithmetic }, shape.pool) <=
        capabilities.limits.maxComputeWorkgroupStorageSize,
    ).map((tile): Candidate => {
      const { pixels, words, slices } = tile;
      const { bindings, constants, weights } = operands(layer, layout);
      const columns = Math.ceil(shape.outWords / words);
      const rows = Math.ceil(outputPixels(shape) / pixels);
      const taps = pixels * (shape.pool ? 4 : 1);
      const busy = Math.max(columns * rows, BUSY_WORKGROUPS);
      const { load, unpack } = SOFTWARE_COST;
      const software = (columns * rows * words * (4 + taps) * (load + unpack)) / 2;
      const hardware = busy * words * (taps + 4 + 16 * rank);
      return {
        cost: kWordsOf(shape) * (capabilities.adapterClass === 'software' ? software : hardware),
        variant: {
          name: `split-k-${pixels}x${words * 4}-${slices}-${arithmetic}${bitsSuffix(layout)}`,
          family: arithmetic,
          get dispatches() {
            const code = conv2dSplitKWgsl(shape, { ...tile, arithmetic }, weights);
            return dispatchOf(layer, code, bindings, [columns, rows, 1]);
          },
          constants,
          workspaces: [],
        },
      };
    }),
  );
}

/** Output pixels of an invocation of the depthwise kernel. */
const DEPTHWISE_PIXELS = [4, 1] as const;

export function depthwise(layer: Layer): readonly GpuVariant[] {
  const { shape, capabilities } = layer;
  const { bindings, constants, weights } = operands(layer, UNPACKED);
  return DEPTHWISE_PIXELS.map((pixels): GpuVariant => {
    const invocations = Math.ceil(outputPixels(shape) / pixels) * shape.outWords;
    const { grid, workgroups } = layGrid(invocations, capabilities);
    return {
      name: `depthwise-${pixels}x4-i32`,
      family: 'i32',
      get dispatches() {
        return dispatchOf(layer, conv2dDepthwiseWgsl(shape, pixels, grid, weights), bindings, workgroups);
      },
      constants,
      workspaces: [],
    };
  });
}

export function grouped(layer: Layer): readonly GpuVariant[] {
  const { shape, capabilities } = layer;
  const { bindings, constants, weights } = operands(layer, UNPACKED);
  const { grid, workgroups } = layGrid(outputPixels(shape) * shape.outWords, capabilities);
  const variant: GpuVariant = {
    name: 'grouped-1x4-i32',
    family: 'i32',
    get dispatches() {
      return dispatchOf(layer, conv2dGroupedWgsl(shape, grid, weights), bindings, workgroups);
    },
    constants,
    workspaces: [],
  };
  return [variant];
}
