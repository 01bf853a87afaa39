import { type AddOperation, paddedChannels } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<AddOperation> = {
  variants({ inputs, output, rescale }, tensor, batch) {
    const builder = new VariantBuilder();
    const [height, width, channels] = tensor(output).shape;
    const block = builder.constant('shape', () =>
      parameterBlock('Add', {
        channels: paddedChannels(channels),
        lastLanes: ((channels - 1) & 3) + 1,
        multiplier: rescale.multipliers[0],
        inputZeroPoint: rescale.inputZeroPoints[0],
        otherMultiplier: rescale.multipliers[1],
        otherZeroPoint: rescale.inputZeroPoints[1],
        shift: rescale.shift,
        zeroPoint: rescale.zeroPoint,
        lo: rescale.lo,
        hi: rescale.hi,
      }),
    );
    const args = [tensorAt(inputs[0]), tensorAt(inputs[1]), tensorAt(output), block];
    return [builder.build('simd', [call('add', args, batch * height * width)])];
  },

  outputRange: ({ rescale: { lo, hi } }) => ({ lo, hi }),
};
