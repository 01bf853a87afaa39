import { constantWgsl } from '../../../shaders/constant.wgsl.ts';
import type { ConstantOperation } from '../../program/program.ts';
import { layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<ConstantOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, output, values } = operation;
    const words = wordCount(tensor(output), batch);
    const { grid, workgroups } = layGrid(words, capabilities);
    const constant = { key: `${name}#${output}/values`, data: () => new Uint32Array(values.slice().buffer) };
    const code = constantWgsl({ words, imageWords: values.length / 4 }, grid);
    return [onlyVariant(operation, code, workgroups, [constant])];
  },

  tuningKey: ({ output }, tensor, batch) => `constant ${batch}x${tensor(output).image.join('x')}`,
};
