import { mulWgsl } from '../../../shaders/mul.wgsl.ts';
import type { MulOperation } from '../../program/program.ts';
import { channelWords, layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<MulOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { inputs, output, rescale } = operation;
    const [height, width, channels] = tensor(output).shape;
    const words = wordCount(tensor(output), batch);
    const otherWords = wordCount(tensor(inputs[1]), batch);
    const { grid, workgroups } = layGrid(words, capabilities);
    const imagePixels = height * width;
    const code = mulWgsl(
      { words, otherWords, imagePixels, pixelWords: channelWords(channels), channels, rescale },
      grid,
    );
    return [onlyVariant(operation, code, workgroups)];
  },

  tuningKey: ({ inputs, output }, tensor, batch) =>
    `mul ${batch}x${tensor(output).shape.join('x')} ${tensor(inputs[1]).shape.join('x')}`,
};
