import { type LookupOperation, paddedChannels } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<LookupOperation> = {
  variants({ inputs, output, table }, tensor, batch) {
    const builder = new VariantBuilder();
    const { image, zeroPoint } = tensor(output);
    const [height, width, channels] = image;
    const block = builder.constant('shape', () =>
      parameterBlock('Lookup', {
        channels: paddedChannels(channels),
        lastLanes: ((channels - 1) & 3) + 1,
        zeroPoint,
      }),
    );
    const args = [tensorAt(inputs[0]), tensorAt(output), builder.constant('table', () => table), block];
    return [builder.build('table', [call('lookup', args, batch * height * width)])];
  },

  outputRange: ({ table }) => ({ lo: Math.min(...table), hi: Math.max(...table) }),
};
