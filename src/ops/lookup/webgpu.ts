import { lookupWgsl } from '../../../shaders/lookup.wgsl.ts';
import type { LookupOperation } from '../../program/program.ts';
import { layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';
import { storedTables } from './tables.ts';

export const webgpuKernel: GpuKernel<LookupOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, output, table } = operation;
    const { image, zeroPoint } = tensor(output);
    const words = wordCount(tensor(output), batch);
    const { grid, workgroups } = layGrid(words, capabilities);
    const ofChannels = table.length > 256;
    const code = lookupWgsl({ words, channels: image[2], zeroPoint, ofChannels }, grid);
    const constant = {
      key: `${name}#${output}/table`,
      data: () => new Uint32Array(storedTables(table, image[2], zeroPoint).slice().buffer),
    };
    const variant = onlyVariant(operation, code, workgroups, [constant]);
    return [ofChannels ? { ...variant, name: 'lookup-channels' } : variant];
  },

  tuningKey: ({ output, table }, tensor, batch) =>
    `lookup${table.length > 256 ? ' by channel' : ''} ${batch}x${tensor(output).image.join('x')}`,
};
