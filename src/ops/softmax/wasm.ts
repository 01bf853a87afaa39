import { paddedChannels, type SoftmaxOperation } from '../../program/program.ts';
import { call, parameterBlock, scratch, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

/** Results of a pixel by difference, two bytes each (softmax.ts). */
const SCRATCH_BYTES = 2 * 256;

export const wasmKernel: WasmKernel<SoftmaxOperation> = {
  variants({ inputs, output, exponentials, requantize: q }, tensor, batch) {
    const builder = new VariantBuilder();
    const [height, width, channels] = tensor(output).image;
    const block = builder.constant('shape', () =>
      parameterBlock('Softmax', {
        channels: paddedChannels(channels),
        count: channels,
        mantissa: q.mantissa,
        shift: q.shift,
        zeroPoint: q.zeroPoint,
        lo: q.lo,
        hi: q.hi,
      }),
    );
    const table = builder.constant('exponentials', () => exponentials);
    const args = [tensorAt(inputs[0]), tensorAt(output), table, scratch, block];
    return [builder.build('pixels', [call('softmax', args, batch * height * width, SCRATCH_BYTES)])];
  },

  outputRange: ({ requantize: { lo, hi } }) => ({ lo, hi }),
};
