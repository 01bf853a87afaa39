import { reduceWgsl } from '../../../shaders/reduce.wgsl.ts';
import type { ReduceOperation } from '../../program/program.ts';
import { layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';
import { packedRequantizer } from '../gpu-requantize.ts';

/** Invocations that keep a GPU busy. */
const BUSY_INVOCATIONS = 8192;
/** Invocations that share a word of the output otherwise. */
const SHARED_LANES = 64;

export const webgpuKernel: GpuKernel<ReduceOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, inputs, axes, finish, function: fold } = operation;
    const input = tensor(inputs[0]);
    const output = tensor(operation.output);
    const words = wordCount(output, batch);
    const isBusy =
      capabilities.adapterClass === 'software' ||
      words >= BUSY_INVOCATIONS ||
      wordCount(input, batch) < SHARED_LANES * words;
    const constants =
      finish.kind === 'thresholds'
        ? [{ key: `${name}#${output.id}/thresholds`, data: () => finish.thresholds }]
        : [];
    return (isBusy ? [1, SHARED_LANES] : [SHARED_LANES, 1]).map((lanes) => {
      const { grid, workgroups } = layGrid(words * lanes, capabilities);
      return {
        name: `reduce-${lanes}`,
        family: 'none',
        constants,
        workspaces: [],
        get dispatches() {
          const code = reduceWgsl(
            {
              batch,
              image: input.image,
              outImage: output.image,
              axes,
              fold,
              inputZeroPoint: input.zeroPoint,
              zeroPoint: output.zeroPoint,
              finish:
                finish.kind === 'requantize'
                  ? { requantizer: packedRequantizer(finish.requantize) }
                  : finish.kind === 'thresholds'
                    ? { lo: finish.lo }
                    : finish.kind,
              lanes,
            },
            grid,
          );
          return onlyVariant(operation, code, workgroups, constants).dispatches;
        },
      };
    });
  },

  tuningKey: ({ inputs, axes, function: fold, finish }, tensor, batch) =>
    `reduce ${fold} ${batch}x${tensor(inputs[0]).image.join('x')} ${axes.map(Number).join('')} ${finish.kind}`,
};
