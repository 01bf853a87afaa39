import { softmaxWgsl } from '../../../shaders/softmax.wgsl.ts';
import type { SoftmaxOperation } from '../../program/program.ts';
import { layGrid, onlyVariant } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

/** Pixels that keep a GPU busy with an invocation each. */
const BUSY_PIXELS = 8192;
/** Invocations that share a pixel otherwise. */
const SHARED_LANES = 32;

export const webgpuKernel: GpuKernel<SoftmaxOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, output, exponentials, requantize } = operation;
    const [height, width, channels] = tensor(output).image;
    const pixels = batch * height * width;
    const { mantissa, shift, zeroPoint, lo, hi } = requantize;
    const isBusy = capabilities.adapterClass === 'software' || pixels >= BUSY_PIXELS || channels <= 16;
    return (isBusy ? [1, SHARED_LANES] : [SHARED_LANES, 1]).map((lanes) => {
      const { grid, workgroups } = layGrid(pixels * lanes, capabilities);
      const shape = { pixels, channels, mantissa, shift, zeroPoint, lo, hi, lanes };
      const constants = [{ key: `${name}#${output}/exponentials`, data: () => exponentials }];
      return {
        name: `softmax-${lanes}`,
        family: 'none',
        constants,
        workspaces: [],
        get dispatches() {
          return onlyVariant(operation, softmaxWgsl(shape, grid), workgroups, constants).dispatches;
        },
      };
    });
  },

  tuningKey: ({ output }, tensor, batch) => `softmax ${batch}x${tensor(output).image.join('x')}`,
};
