import { concatWgsl, type ConcatPart } from '../../../shaders/concat.wgsl.ts';
import type { ConcatOperation, ProgramTensor, TensorId } from '../../program/program.ts';
import { channelWords, layGrid } from '../gpu-dispatch.ts';
import type { GpuCapabilities, GpuDispatch, GpuKernel } from '../gpu-kernel.ts';

/** Storage buffers a dispatch may bind on every WebGPU device, less the output. */
const MAX_INPUTS = 7;

export const webgpuKernel: GpuKernel<ConcatOperation> = {
  variants: (operation, tensor, batch, capabilities) => [
    {
      name: 'concat',
      family: 'none',
      dispatches: concatDispatches(operation, tensor, batch, capabilities),
      constants: [],
      workspaces: [],
    },
  ],

  tuningKey: (operation, tensor, batch) => {
    const channels = operation.inputs.map((id) => tensor(id).shape[2]).join('+');
    const [height, width] = tensor(operation.output).shape;
    return `concat ${batch}x${height}x${width}x(${channels})`;
  },
};

/** One dispatch for as many neighbouring output words as `MAX_INPUTS` inputs cover: two dispatches never write the same word. */
function concatDispatches(
  operation: ConcatOperation,
  tensor: (id: TensorId) => ProgramTensor,
  batch: number,
  capabilities: GpuCapabilities,
): readonly GpuDispatch[] {
  const output = tensor(operation.output);
  const [height, width, channels] = output.shape;
  const pixels = batch * height * width;
  let firstChannel = 0;
  const parts = operation.inputs.map((id, i) => {
    const part = { id, channels: tensor(id).shape[2], firstChannel, rescale: operation.rescales[i] };
    firstChannel += part.channels;
    return part;
  });
  const partsOf = (firstWord: number, endWord: number) =>
    parts.filter(
      (part) => part.firstChannel < endWord * 4 && part.firstChannel + part.channels > firstWord * 4,
    );

  const dispatches: GpuDispatch[] = [];
  const outWords = channelWords(channels);
  for (let firstWord = 0, endWord = 1; firstWord < outWords; firstWord = endWord, endWord++) {
    while (endWord < outWords && partsOf(firstWord, endWord + 1).length <= MAX_INPUTS) endWord++;
    const covering = partsOf(firstWord, endWord);
    const words = endWord - firstWord;
    const { grid, workgroups } = layGrid(pixels * words, capabilities);
    const shaderParts: ConcatPart[] = covering;
    dispatches.push({
      label: `${operation.name} ${firstWord * 4}…${Math.min(endWord * 4, channels) - 1}`,
      code: concatWgsl(
        { pixels, channels, zeroPoint: output.zeroPoint, parts: shaderParts, firstWord, words },
        grid,
      ),
      bindings: [
        ...covering.map(({ id }) => ({ kind: 'tensor', tensor: id, access: 'read' }) as const),
        { kind: 'tensor', tensor: output.id, access: 'write' },
      ],
      workgroups,
    });
  }
  return dispatches;
}
