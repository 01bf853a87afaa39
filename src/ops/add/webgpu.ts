import { addWgsl } from '../../../shaders/add.wgsl.ts';
import type { AddOperation } from '../../program/program.ts';
import { channelWords, layGrid, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<AddOperation> = {
  variants({ name, inputs, output, rescale }, tensor, batch, capabilities) {
    const channels = tensor(output).shape[2];
    const words = wordCount(tensor(output), batch);
    const { grid, workgroups } = layGrid(words, capabilities);
    const code = addWgsl({ words, pixelWords: channelWords(channels), channels, rescale }, grid);
    return [
      {
        name: 'add',
        family: 'none',
        dispatches: [
          {
            label: name,
            code,
            bindings: [
              { kind: 'tensor', tensor: inputs[0], access: 'read' },
              { kind: 'tensor', tensor: inputs[1], access: 'read' },
              { kind: 'tensor', tensor: output, access: 'write' },
            ],
            workgroups,
          },
        ],
        constants: [],
        workspaces: [],
      },
    ];
  },

  tuningKey: (operation, tensor, batch) => `add ${batch}x${tensor(operation.output).shape.join('x')}`,
};
