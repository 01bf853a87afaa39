import { matMulWgsl } from '../../../shaders/matMul.wgsl.ts';
import type { MatMulOperation } from '../../program/program.ts';
import { arithmeticFamilies, channelWords, layGrid, onlyVariant } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';
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
    return families.flatMap((arithmetic) =>
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
  },

  tuningKey: ({ inputs, output, requantize }, tensor, batch) =>
    `matMul ${batch}x${tensor(output).image.join('x')}x${tensor(inputs[0]).image[2]}${requantize ? '' : ' int32'}`,
};
