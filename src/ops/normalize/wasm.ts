import { type NormalizeOperation, paddedChannels } from '../../program/program.ts';
import { call, parameterBlock, scratch, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

/** Channels of a unit of work that adds up pixels (normalize.ts). */
const BLOCK_CHANNELS = 64;
/** Bytes of the sums of a channel: S₁ and S₂ in 64 bits. */
const SUM_BYTES = 16;
/** Bytes of what the values of a channel are multiplied by: S₁, r and a power of two. */
const ROOT_BYTES = 12;

export const wasmKernel: WasmKernel<NormalizeOperation> = {
  variants(operation, tensor, batch) {
    const { inputs, output, isSpatial, groupChannels, gamma, beta } = operation;
    const builder = new VariantBuilder();
    const [height, width, channels] = tensor(output).image;
    const stored = paddedChannels(channels);
    const pixels = height * width;
    const block = builder.constant('shape', () =>
      parameterBlock('Normalize', {
        channels: stored,
        lastLanes: ((channels - 1) & 3) + 1,
        pixels,
        blocks: Math.ceil(channels / BLOCK_CHANNELS),
        groupChannels,
        groups: channels / groupChannels,
        count: groupChannels * (isSpatial ? pixels : 1),
        centred: operation.isCentred ? 1 : 0,
        offset: operation.offset,
        epsilonLow: (operation.epsilon % 2 ** 32) | 0,
        epsilonHigh: Math.floor(operation.epsilon / 2 ** 32),
        varianceBits: operation.varianceBits,
        droppedBits: operation.droppedBits,
        rootBits: operation.rootBits,
        shift: operation.shift,
        zeroPoint: operation.zeroPoint,
        lo: operation.lo,
        hi: operation.hi,
      }),
    );
    const [scales, biases] = [gamma, beta].map((values, i) =>
      builder.constant(i === 0 ? 'gamma' : 'beta', () => padded(values, stored)),
    );
    const [x, y] = [tensorAt(inputs[0]), tensorAt(output)];
    if (!isSpatial) {
      const args = [x, y, scratch, scales, biases, block];
      return [builder.build('pixels', [call('normalizePixels', args, batch * pixels, 48)])];
    }
    const sums = builder.workspace(batch * stored * SUM_BYTES);
    const roots = builder.workspace(batch * stored * ROOT_BYTES);
    const blocks = batch * Math.ceil(channels / BLOCK_CHANNELS);
    return [
      builder.build('images', [
        call('sumChannels', [x, sums, scratch, block], blocks, 8 * BLOCK_CHANNELS),
        call('findRoots', [sums, roots, block], batch * (channels / groupChannels)),
        call('normalizeImages', [x, y, roots, scales, biases, block], batch * pixels),
      ]),
    ];
  },

  outputRange: ({ lo, hi }) => ({ lo, hi }),
};

function padded(values: Int32Array, length: number): Int32Array {
  const result = new Int32Array(length);
  result.set(values);
  return result;
}
