import { averagePool2dWgsl } from '../../../shaders/averagePool2d.wgsl.ts';
import type { AveragePool2dOperation } from '../../program/program.ts';
import { layGrid, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';
import { pool2dKey, pool2dShape } from '../gpu-pool2d.ts';

export const webgpuKernel: GpuKernel<AveragePool2dOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, pads, overhang, countIncludePad, rescale } = operation;
    const input = tensor(operation.inputs[0]);
    const output = tensor(operation.output);
    const { grid, workgroups } = layGrid(wordCount(output, batch), capabilities);
    const shape = {
      ...pool2dShape(operation, input, output, batch),
      countIncludePad,
      pads,
      overhang,
      rescale,
    };
    return [
      {
        name: 'averagePool2d',
        family: 'none',
        dispatches: [
          {
            label: name,
            code: averagePool2dWgsl(shape, grid),
            bindings: [
              { kind: 'tensor', tensor: input.id, access: 'read' },
              { kind: 'tensor', tensor: output.id, access: 'write' },
              { kind: 'constant', index: 0 },
            ],
            workgroups,
          },
        ],
        constants: [{ key: `${name}#${output.id}/multipliers`, data: () => rescale.multipliers }],
        workspaces: [],
      },
    ];
  },

  tuningKey: (operation, tensor, batch) =>
    `averagePool2d ${pool2dKey(operation, tensor(operation.inputs[0]), batch)}`,
};
