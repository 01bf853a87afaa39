import { binaryWgsl } from '../../../shaders/binary.wgsl.ts';
import type { BinaryOperation } from '../../program/program.ts';
import { layGrid, onlyVariant, wordCount } from '../gpu-dispatch.ts';
import type { GpuKernel } from '../gpu-kernel.ts';

export const webgpuKernel: GpuKernel<BinaryOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { name, inputs, output, function: of, rescale, table } = operation;
    const { image, zeroPoint: fill } = tensor(output);
    const { grid, workgroups } = layGrid(wordCount(tensor(output), batch), capabilities);
    const otherImage = tensor(inputs[1]).image;
    const code = binaryWgsl({ function: of, batch, image, otherImage, rescale, fill }, grid);
    const constants = table
      ? [{ key: `${name}#${output}/table`, data: () => new Uint32Array(table.slice().buffer) }]
      : [];
    return [onlyVariant(operation, code, workgroups, constants)];
  },

  tuningKey: ({ function: of, inputs, output }, tensor, batch) =>
    `${of} ${batch}x${tensor(output).image.join('x')} ${tensor(inputs[1]).image.join('x')}`,
};
