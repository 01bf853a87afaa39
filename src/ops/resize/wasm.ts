import { paddedChannels, type ResizeOperation } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<ResizeOperation> = {
  variants({ inputs, output, rows, columns, requantize: q }, tensor, batch) {
    const builder = new VariantBuilder();
    const input = tensor(inputs[0]);
    const [height, width, channels] = input.image;
    const [outHeight, outWidth] = tensor(output).image;
    const block = builder.constant('shape', () =>
      parameterBlock('Resize', {
        height,
        width,
        channels: paddedChannels(channels),
        lastLanes: ((channels - 1) & 3) + 1,
        outHeight,
        outWidth,
        rowTaps: rows.count,
        columnTaps: columns.count,
        inputZeroPoint: input.zeroPoint,
        mantissa: q.mantissa,
        shift: q.shift,
        zeroPoint: q.zeroPoint,
        lo: q.lo,
        hi: q.hi,
      }),
    );
    const taps = builder.constant('taps', () =>
      Int32Array.from([...rows.places, ...rows.weights, ...columns.places, ...columns.weights]),
    );
    const args = [tensorAt(input.id), tensorAt(output), taps, block];
    return [builder.build('taps', [call('resize', args, batch * outHeight)])];
  },

  outputRange: ({ requantize: { lo, hi } }) => ({ lo, hi }),
};
