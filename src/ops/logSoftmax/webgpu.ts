import { logSoftmaxWgsl } from '../../../shaders/logSoftmax.wgsl.ts';
import type { LogSoftmaxOperation } from '../../program/program.ts';
import { exponentialBits } from '../exponentials.ts';
import { layGrid, onlyVariant } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<LogSoftmaxOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, output, exponentials, steps, logarithms } = operation;
    const [height, width, channels] = tensor(output).image;
    const pixels = batch * height * width;
    const { grid, workgroups } = layGrid(pixels, capabilities);
    const { shift, zeroPoint, lo, hi } = operation;
    const shape = { pixels, channels, bits: exponentialBits(channels), shift, zeroPoint, lo, hi };
    const constants = [
      { key: `${name}#${output}/exponentials`, data: () => exponentials },
      { key: `${name}#${output}/steps`, data: () => steps },
      { key: `${name}#${output}/logarithms`, data: () => logarithms },
    ];
    return [onlyVariant(operation, logSoftmaxWgsl(shape, grid), workgroups, constants)];
  },

  tuningKey: ({ output }, tensor, batch) => `logSoftmax ${batch}x${tensor(output).image.join('x')}`,
};
