import { addWgsl } from '../../../shaders/add.wgsl.ts';
import type { AddOperation } from '../../program/program.ts';
import { layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<AddOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const output = tensor(operation.output);
    const words = wordCount(output, batch);
    const { grid, workgroups } = layGrid(words, capabilities);
    const code = addWgsl({ words, channels: output.shape[2], rescale: operation.rescale }, grid);
    return [onlyVariant(operation, code, workgroups)];
  },

  tuningKey: (operation, tensor, batch) => `add ${batch}x${tensor(operation.output).shape.join('x')}`,
};
