import { argMaxWgsl } from '../../../shaders/argMax.wgsl.ts';
import { type ArgMaxOperation, elementCount } from '../../program/program.ts';
import { layGrid, onlyVariant } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<ArgMaxOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const pixels = elementCount(tensor(operation.output), batch);
    const channels = tensor(operation.inputs[0]).image[2];
    const { grid, workgroups } = layGrid(pixels, capabilities);
    const { function: of, isLast } = operation;
    return [onlyVariant(operation, argMaxWgsl({ pixels, channels, of, isLast }, grid), workgroups)];
  },

  tuningKey: ({ inputs, output }, tensor, batch) =>
    `argMax ${elementCount(tensor(output), batch)}x${tensor(inputs[0]).image[2]}`,
};
