import { lookupWgsl } from '../../../shaders/lookup.wgsl.ts';
import type { LookupOperation } from '../../program/program.ts';
import { layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<LookupOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, output, table } = operation;
    const { image, zeroPoint } = tensor(output);
    const words = wordCount(tensor(output), batch);
    const { grid, workgroups } = layGrid(words, capabilities);
    const code = lookupWgsl({ words, channels: image[2], zeroPoint }, grid);
    const constant = {
      key: `${name}#${output}/table`,
      data: () => new Uint32Array(table.slice().buffer),
    };
    return [onlyVariant(operation, code, workgroups, [constant])];
  },

  tuningKey: (operation, tensor, batch) => `lookup ${batch}x${tensor(operation.output).image.join('x')}`,
};
