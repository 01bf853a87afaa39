import { type LogSoftmaxOperation, paddedChannels } from '../../program/program.ts';
import { exponentialBits } from '../exponentials.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<LogSoftmaxOperation> = {
  variants({ inputs, output, exponentials, steps, logarithms, ...rest }, tensor, batch) {
    const builder = new VariantBuilder();
    const [height, width, channels] = tensor(output).image;
    const { shift, zeroPoint, lo, hi } = rest;
    const block = builder.constant('shape', () =>
      parameterBlock('LogSoftmax', {
        channels: paddedChannels(channels),
        count: channels,
        bits: exponentialBits(channels),
        shift,
        zeroPoint,
        lo,
        hi,
      }),
    );
    const args = [
      tensorAt(inputs[0]),
      tensorAt(output),
      builder.constant('exponentials', () => exponentials),
      builder.constant('steps', () => steps),
      builder.constant('logarithms', () => logarithms),
      block,
    ];
    return [builder.build('pixels', [call('logSoftmax', args, batch * height * width)])];
  },

  outputRange: ({ lo, hi }) => ({ lo, hi }),
};
