import { maxPool2dWgsl } from '../../../shaders/maxPool2d.wgsl.ts';
import type { MaxPool2dOperation } from '../../program/program.ts';
import { layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';
import { pool2dKey, pool2dShape } from '../gpu-pool2d.ts';

export const webgpuKernel: GpuKernel<MaxPool2dOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const input = tensor(operation.inputs[0]);
    const output = tensor(operation.output);
    const { grid, workgroups } = layGrid(wordCount(output, batch), capabilities);
    const code = maxPool2dWgsl(pool2dShape(operation, input, output, batch), grid);
    return [onlyVariant(operation, code, workgroups)];
  },

  tuningKey: (operation, tensor, batch) =>
    `maxPool2d ${pool2dKey(operation, tensor(operation.inputs[0]), batch)}`,
};
