import { binaryWgsl } from '../../../shaders/binary.wgsl.ts';
import type { BinaryOperation } from '../../program/program.ts';
import { channelWords, layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<BinaryOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { inputs, output, function: of, rescale } = operation;
    const [height, width, channels] = tensor(output).image;
    const words = wordCount(tensor(output), batch);
    const otherWords = wordCount(tensor(inputs[1]), batch);
    const { grid, workgroups } = layGrid(words, capabilities);
    const code = binaryWgsl(
      {
        function: of,
        words,
        otherWords,
        imagePixels: height * width,
        pixelWords: channelWords(channels),
        channels,
        rescale,
      },
      grid,
    );
    return [onlyVariant(operation, code, workgroups)];
  },

  tuningKey: ({ function: of, inputs, output }, tensor, batch) =>
    `${of} ${batch}x${tensor(output).image.join('x')} ${tensor(inputs[1]).image.join('x')}`,
};
