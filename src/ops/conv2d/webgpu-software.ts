/**
 * Convolution on software adapters: kernels that multiply in f32 from registers, without workgroup memory, with the layer's sizes as data, since
 * pipelines compile one at a time there.
 */
import { EXACT_WORDS } from '../../../shaders/arithmetic.wgsl.ts';
import { conv2dDepthwisePatchWgsl, patchOffsets } from '../../../shaders/conv2d-depthwise-patch.wgsl.ts';
import { packLayer, type Conv2dLayer } from '../../../shaders/conv2d-layer.wgsl.ts';
import { conv2dMatvecWgsl } from '../../../shaders/conv2d-matvec.wgsl.ts';
import { conv2dQuadWgsl, quadPatches, type Conv2dQuadTile } from '../../../shaders/conv2d-quad.wgsl.ts';
import { kWordsOf, outputSize } from '../../../shaders/conv2d-shape.wgsl.ts';
import { layGrid } from '../gpu-dispatch.ts';
import type { GpuVariant } from '../gpu-kernel.ts';
import { storedBits } from './stored-bits.ts';
import { bitsSuffix, dispatchOf, flatten, operands, outputPixels, SOFTWARE_COST } from './webgpu-layer.ts';
import type { Candidate, Layer, Operands } from './webgpu-layer.ts';
import { blocked, DEPTHWISE, type GpuWeightLayout } from './webgpu-layouts.ts';

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
function operandsWithSizes<Text>(
  layer: Layer,
  layout: GpuWeightLayout<Text>,
  tile: string,
  sizes: () => Conv2dLayer,
): Operands<Text> {
  const { bindings, constants, weights } = operands(layer, layout);
  const { operation, shape } = layer;
  const key = `${operation.name}#${operation.output}/sizes-${tile}-${shape.batch}`;
  return {
    weights,
    bindings: [...bindings, { kind: 'constant', index: constants.length }],
    constants: [...constants, { key, data: () => packLayer(sizes()) }],
  };
}

/** The kernel for software adapters, which run subgroups of four lanes. */
export function quads(layer: Layer): readonly Candidate[] {
  const { capabilities } = layer;
  if (capabilities.adapterClass !== 'software' || capabilities.subgroupSize !== 4) return [];
  const shape = flatten(layer.shape);
  if (shape.weightZeroPoint || shape.kernel[1] > UNROLLED_TAPS) return [];
  const bits = storedBits(layer.operation);
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
      const steps = kWordsOf(shape) / taps;
      const cycles = winograd ? winogradCycles(choice) : directCycles(choice, kernelWidth);
      const layout = blocked(shape.kernel, words, bits);
      const name = `quad-${winograd ? 'winograd-' : ''}${patch.join('x')}x${words * 4}-f32`;
      const { bindings, constants, weights } = operandsWithSizes(layer, layout, name, () => ({
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
          name: name + bitsSuffix(layout),
          family: 'f32',
          get dispatches() {
            const tile = { ...choice, workgroupSize: QUAD_WORKGROUP };
            return dispatchOf(layer, conv2dQuadWgsl(shape, tile, weights), bindings, workgroups);
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
export function matvec(layer: Layer): readonly Candidate[] {
  const { capabilities } = layer;
  if (capabilities.adapterClass !== 'software' || capabilities.subgroupSize !== 4) return [];
  const shape = flatten(layer.shape);
  const pixels = outputPixels(shape);
  const dense = shape.kernel.every((length) => length === 1) && shape.height === 1 && shape.batch === 1;
  if (!dense || shape.pool || shape.groups > 1 || shape.weightZeroPoint || pixels > MATVEC_PIXELS) return [];
  const bits = storedBits(layer.operation);
  const arithmetics = capabilities.packedDot ? (['dot4I8Packed', 'f32'] as const) : (['f32'] as const);
  return arithmetics.flatMap((arithmetic) =>
    MATVEC_TILES.filter(
      ({ words, kWords }) => shape.outWords % words === 0 && shape.inWords % kWords === 0,
    ).map(({ words, kWords }): Candidate => {
      const quads = shape.outWords / words;
      const { grid, workgroups } = layGrid(quads * 4, capabilities, QUAD_WORKGROUP);
      const layout = blocked(shape.kernel, words, bits);
      const name = `matvec-${words * 4}x${kWords * 4}-${arithmetic}`;
      const { bindings, constants, weights } = operandsWithSizes(layer, layout, name, () => ({
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
          name: name + bitsSuffix(layout),
          family: arithmetic,
          get dispatches() {
            const tile = { arithmetic, words, kWords, pixels, workgroupSize: QUAD_WORKGROUP };
            return dispatchOf(layer, conv2dMatvecWgsl(shape, tile, weights), bindings, workgroups);
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
export function depthwisePatches(layer: Layer): readonly GpuVariant[] {
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
      const { bindings, constants, weights } = operandsWithSizes(layer, DEPTHWISE, name, () => ({
        shape,
        grid,
        patchRows,
        patchColumns,
      }));
      const { invocation, load, pixel } = DEPTHWISE_COST;
      return {
        cost: invocations * (invocation + load * loads + pixel * patch[0] * patch[1]),
        variant: {
          name,
          family: 'f32',
          get dispatches() {
            const tile = { patch, workgroupSize: QUAD_WORKGROUP };
            return dispatchOf(layer, conv2dDepthwisePatchWgsl(shape, tile, weights), bindings, workgroups);
          },
          constants,
          workspaces: [],
        },
      };
    })
    .sort((a, b) => a.cost - b.cost)
    .map(({ variant }) => variant);
}
