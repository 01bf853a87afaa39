import { lookupWgsl } from '../../../shaders/lookup.wgsl.ts';
import type { LookupOperation } from '../../program/program.ts';
import { layGrid, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<LookupOperation> = {
  variants({ name, inputs, output, table }, tensor, batch, capabilities) {
    const { shape, zeroPoint } = tensor(output);
    const words = wordCount(tensor(output), batch);
    const { grid, workgroups } = layGrid(words, capabilities);
    const lookup = { words, channels: shape[2], zeroPoint };
    return [
      {
        name: 'lookup',
        family: 'none',
        dispatches: [
          {
            label: name,
            code: lookupWgsl(lookup, grid),
            bindings: [
              { kind: 'tensor', tensor: inputs[0], access: 'read' },
              { kind: 'constant', index: 0 },
              { kind: 'tensor', tensor: output, access: 'write' },
            ],
            workgroups,
          },
        ],
        constants: [{ key: `${name}#${output}/table`, data: () => new Uint32Array(table.slice().buffer) }],
        workspaces: [],
      },
    ];
  },

  tuningKey: (operation, tensor, batch) => `lookup ${batch}x${tensor(operation.output).shape.join('x')}`,
};
