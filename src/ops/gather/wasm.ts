import { type GatherOperation, paddedChannels } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<GatherOperation> = {
  variants({ inputs, output, channels }, tensor, batch) {
    const builder = new VariantBuilder();
    const { shape, zeroPoint } = tensor(output);
    const [height, width, outChannels] = shape;
    const block = builder.constant('shape', () =>
      parameterBlock('Gather', {
        inChannels: paddedChannels(tensor(inputs[0]).shape[2]),
        channels: outChannels,
        stored: paddedChannels(outChannels),
        zeroPoint,
      }),
    );
    const args = [tensorAt(inputs[0]), tensorAt(output), builder.constant('channels', () => channels), block];
    return [builder.build('bytes', [call('gather', args, batch * height * width)])];
  },

  outputRange: ({ inputs }, range) => range(inputs[0]),
};
