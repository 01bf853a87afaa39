import {
  matMulTiledBytes,
  matMulTiledInvocations,
  type MatMulTiledTile,
  matMulTiledWgsl,
} from '../../../shaders/matMul-tiled.wgsl.ts';
import { type MatMulShape, matMulWgsl } from '../../../shaders/matMul.wgsl.ts';
import type { MatMulOperation } from '../../program/program.ts';
import { arithmeticFamilies, channelWords, layGrid, onlyVariant } from '../gpu-dispatch.ts';
import type { GpuCapabilities, GpuKernel, GpuVariant } from '../gpu-kernel.ts';
import { packedRequantizer } from '../gpu-requantize.ts';

/** Invocations that keep a GPU busy: with fewer, each takes one row alone. */
const BUSY_INVOCATIONS = 4096;

export const webgpuKernel: GpuKernel<MatMulOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { inputs, output, requantize } = operation;
    const [a, b] = inputs.map(tensor);
    const [rows, height, depth] = a.image;
    const [, width] = b.image;
    const matrices = batch * rows;
    const shape = {
      matrices,
      height,
      width,
      words: channelWords(depth),
      zeroPoints: [a.zeroPoint, b.zeroPoint],
      zeroPoint: tensor(output).zeroPoint,
      requantizer: requantize && packedRequantizer(requantize),
    } as const;
    const blockInvocations = matrices * Math.ceil(height / 4) * channelWords(width);
    const tiles = blockInvocations < BUSY_INVOCATIONS && height > 1 ? [1, 4] : [4, 1];
    // Where f32 is exact, i32 is never faster.
    const families = arithmeticFamilies(capabilities).filter((arithmetic) => arithmetic !== 'i32');
    const plain = families.flatMap((arithmetic) =>
      tiles
        .filter((tile) => tile <= height)
        .map((tile) => {
          const invocations = matrices * Math.ceil(height / tile) * channelWords(width);
          const { grid, workgroups } = layGrid(invocations, capabilities);
          return {
            name: `${tile}x4-${arithmetic}`,
            family: arithmetic,
            constants: [],
            workspaces: [],
            get dispatches() {
              const code = matMulWgsl(shape, { arithmetic, rows: tile }, grid);
              return onlyVariant(operation, code, workgroups).dispatches;
            },
          };
        }),
    );
    const tiled = families.flatMap((arithmetic) => tiledVariants(operation, shape, arithmetic, capabilities));
    // SwiftShader takes 0.8 to 0.9 of the time with them. What GPUs make of them is left to the tuner: none has been measured.
    return capabilities.adapterClass === 'software'
      ? [...tiled, ...plain]
      : [...plain.slice(0, 1), ...tiled, ...plain.slice(1)];
  },

  tuningKey: ({ inputs, output, requantize }, tensor, batch) =>
    `matMul ${batch}x${tensor(output).image.join('x')}x${tensor(inputs[0]).image[2]}${requantize ? '' : ' int32'}`,
};

type Tile = Omit<MatMulTiledTile, 'arithmetic'>;

const LARGE: Tile = { tileM: 64, tileN: 64, kWords: 16, threadM: 8, threadN: 8 };
const SMALL: Tile = { tileM: 32, tileN: 32, kWords: 16, threadM: 4, threadN: 4 };

/** The part of the tiles that matrices must fill: below it, SwiftShader is slower with tiles than without. */
const FILLED = 0.75;

function tiledVariants(
  operation: MatMulOperation,
  shape: MatMulShape,
  arithmetic: MatMulTiledTile['arithmetic'],
  { limits, adapterClass }: GpuCapabilities,
): GpuVariant[] {
  const filled = (size: number, tile: number) => size / (Math.ceil(size / tile) * tile);
  // Small tiles are slower there than none.
  const tiles = adapterClass === 'software' ? [LARGE] : [LARGE, SMALL];
  const fitting = tiles.filter(
    (tile) =>
      filled(shape.height, tile.tileM) * filled(shape.width, tile.tileN) >= FILLED &&
      shape.matrices <= limits.maxComputeWorkgroupsPerDimension &&
      matMulTiledBytes({ ...tile, arithmetic }) <= limits.maxComputeWorkgroupStorageSize &&
      matMulTiledInvocations({ ...tile, arithmetic }) <= limits.maxComputeInvocationsPerWorkgroup,
  );
  return fitting.map((each) => {
    const tile = { ...each, arithmetic };
    const { tileM, tileN, kWords, threadM, threadN } = tile;
    const workgroups = [
      Math.ceil(shape.height / tileM),
      Math.ceil(shape.width / tileN),
      shape.matrices,
    ] as const;
    return {
      name: `tiled-${tileM}x${tileN}x${4 * kWords}-${threadM}x${threadN}-${arithmetic}`,
      family: arithmetic,
      constants: [],
      workspaces: [],
      get dispatches() {
        return onlyVariant(operation, matMulTiledWgsl(shape, tile), workgroups).dispatches;
      },
    };
  });
}
