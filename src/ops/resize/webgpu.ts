import { resizeWgsl } from '../../../shaders/resize.wgsl.ts';
import type { ResizeOperation } from '../../program/program.ts';
import { channelWords, layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';
import { packedRequantizer } from '../gpu-requantize.ts';

export const webgpuKernel: GpuKernel<ResizeOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, inputs, rows, columns, requantize } = operation;
    const input = tensor(inputs[0]);
    const output = tensor(operation.output);
    const { grid, workgroups } = layGrid(wordCount(output, batch), capabilities);
    const code = resizeWgsl(
      {
        batch,
        height: input.image[0],
        width: input.image[1],
        outHeight: output.image[0],
        outWidth: output.image[1],
        words: channelWords(output.image[2]),
        channels: output.image[2],
        rowTaps: rows.count,
        columnTaps: columns.count,
        inputZeroPoint: input.zeroPoint,
        zeroPoint: output.zeroPoint,
        requantizer: packedRequantizer(requantize),
      },
      grid,
    );
    const taps = {
      key: `${name}#${output.id}/taps`,
      data: () => Int32Array.from([...rows.places, ...rows.weights, ...columns.places, ...columns.weights]),
    };
    return [onlyVariant(operation, code, workgroups, [taps])];
  },

  tuningKey: ({ inputs, output, rows, columns }, tensor, batch) =>
    `resize ${batch}x${tensor(inputs[0]).image.join('x')}→${tensor(output).image.join('x')} ${rows.count}x${columns.count}`,
};
