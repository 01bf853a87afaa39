import { gatherWgsl } from '../../../shaders/gather.wgsl.ts';
import type { GatherOperation } from '../../program/program.ts';
import { channelWords, layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<GatherOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, inputs, output, channels } = operation;
    const { shape, zeroPoint } = tensor(output);
    const [height, width] = shape;
    const inWords = channelWords(tensor(inputs[0]).shape[2]);
    const { grid, workgroups } = layGrid(wordCount(tensor(output), batch), capabilities);
    const code = gatherWgsl(
      { pixels: batch * height * width, inWords, channels: channels.length, zeroPoint },
      grid,
    );
    const constant = {
      key: `${name}#${output}/channels`,
      data: () => {
        const lanes = new Uint32Array(4 * channelWords(channels.length));
        lanes.set(channels);
        return lanes;
      },
    };
    return [onlyVariant(operation, code, workgroups, [constant])];
  },

  tuningKey: ({ inputs, output }, tensor, batch) =>
    `gather ${batch}x${tensor(inputs[0]).shape.join('x')}→${tensor(output).shape[2]}`,
};
