import { normalizeWgsl, type NormalizeShape, type NormalizeStage } from '../../../shaders/normalize.wgsl.ts';
import type { NormalizeOperation } from '../../program/program.ts';
import { layGrid } from '../gpu-dispatch.ts';
import type { GpuBinding, GpuCapabilities, GpuDispatch, GpuKernel, GpuVariant } from '../gpu-kernel.ts';

/** Groups that keep a GPU busy with an invocation each. */
const BUSY_GROUPS = 8192;
/** Invocations that share a group otherwise. */
const SHARED_LANES = 32;
/** Values of a lane whose squares fit 32 bits. */
const MAX_SUMMED = 2 ** 16;

export const webgpuKernel: GpuKernel<NormalizeOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const { isSpatial } = operation;
    const [height, width, channels] = tensor(operation.output).image;
    const pixels = height * width;
    const words = Math.ceil(channels / 4);
    const [sums, length] = isSpatial ? [batch * words, pixels] : [batch * pixels, words];
    const isBusy = capabilities.adapterClass === 'software' || sums >= BUSY_GROUPS || length <= 8;
    return (isBusy ? [1, SHARED_LANES] : [SHARED_LANES, 1])
      .filter((lanes) => length / lanes <= MAX_SUMMED)
      .map((lanes) => variantOf(operation, { batch, pixels, channels, lanes }, capabilities));
  },

  tuningKey: ({ inputs, groupChannels, isSpatial }, tensor, batch) =>
    `normalize ${batch}x${tensor(inputs[0]).image.join('x')} ${isSpatial ? groupChannels : 'pixels'}`,
};

function variantOf(
  operation: NormalizeOperation,
  size: Pick<NormalizeShape, 'batch' | 'pixels' | 'channels' | 'lanes'>,
  capabilities: GpuCapabilities,
): GpuVariant {
  const { name, inputs, output, isSpatial, groupChannels, gamma, beta } = operation;
  const { batch, pixels, channels, lanes } = size;
  const words = Math.ceil(channels / 4);
  const x: GpuBinding = { kind: 'tensor', tensor: inputs[0], access: 'read' };
  const y: GpuBinding = { kind: 'tensor', tensor: output, access: 'write' };
  const affine: GpuBinding = { kind: 'constant', index: 0 };
  const workspace = (index: number, access: 'read' | 'write'): GpuBinding => ({
    kind: 'workspace',
    index,
    access,
  });
  const shape: NormalizeShape = { ...operation, ...size };
  const dispatch = (
    stage: NormalizeStage,
    invocations: number,
    bindings: readonly GpuBinding[],
  ): GpuDispatch => {
    const { grid, workgroups } = layGrid(invocations, capabilities);
    const label = stage === 'pixels' ? name : `${name} ${stage}`;
    return { label, code: normalizeWgsl(stage, shape, grid), bindings, workgroups };
  };
  const groups = batch * (channels / groupChannels);
  return {
    name: `normalize-${isSpatial ? 'images' : 'pixels'}-${lanes}`,
    family: 'none',
    constants: [{ key: `${name}#${output}/affine`, data: () => affineWords(gamma, beta) }],
    // Sums of a word of channels: three vectors; of a group a vector.
    workspaces: isSpatial ? [batch * words * 48, groups * 16] : [],
    get dispatches() {
      if (!isSpatial) return [dispatch('pixels', batch * pixels * lanes, [x, affine, y])];
      return [
        dispatch('sums', batch * words * lanes, [x, workspace(0, 'write')]),
        dispatch('roots', groups, [workspace(0, 'read'), workspace(1, 'write')]),
        dispatch('values', batch * pixels * words, [x, affine, workspace(1, 'read'), y]),
      ];
    },
  };
}

/** Of each word of channels a vector of scales and one of biases. */
function affineWords(gamma: Int32Array, beta: Int32Array): Int32Array {
  const data = new Int32Array(Math.ceil(gamma.length / 4) * 8);
  for (let c = 0; c < gamma.length; c++) {
    const at = (c >> 2) * 8 + (c & 3);
    data[at] = gamma[c];
    data[at + 4] = beta[c];
  }
  return data;
}
