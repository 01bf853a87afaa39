import { mulWgsl } from '../../../shaders/mul.wgsl.ts';
import type { MulOperation } from '../../program/program.ts';
import { channelWords, layGrid, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<MulOperation> = {
  variants({ name, inputs, output, rescale }, tensor, batch, capabilities) {
    const [height, width, channels] = tensor(output).shape;
    const words = wordCount(tensor(output), batch);
    const otherWords = wordCount(tensor(inputs[1]), batch);
    const { grid, workgroups } = layGrid(words, capabilities);
    const imagePixels = height * width;
    const code = mulWgsl(
      { words, otherWords, imagePixels, pixelWords: channelWords(channels), channels, rescale },
      grid,
    );
    return [
      {
        name: 'mul',
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

  tuningKey: ({ inputs, output }, tensor, batch) =>
    `mul ${batch}x${tensor(output).shape.join('x')} ${tensor(inputs[1]).shape.join('x')}`,
};
