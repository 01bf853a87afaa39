import { type BinaryOperation, paddedChannels } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<BinaryOperation> = {
  variants({ inputs, output, function: of, rescale, table }, tensor, batch) {
    const builder = new VariantBuilder();
    const [height, width, channels] = tensor(output).image;
    const [otherHeight, otherWidth, otherChannels] = tensor(inputs[1]).image;
    const otherBytes = paddedChannels(otherChannels);
    const isSame = otherHeight === height && otherWidth === width && otherChannels === channels;
    const block = builder.constant('shape', () =>
      parameterBlock('Binary', {
        channels: paddedChannels(channels),
        lastLanes: ((channels - 1) & 3) + 1,
        multiplier: rescale.multipliers[0],
        inputZeroPoint: rescale.inputZeroPoints[0],
        otherMultiplier: of === 'sum' ? rescale.multipliers[1] : 0,
        otherZeroPoint: rescale.inputZeroPoints[1],
        shift: rescale.shift,
        zeroPoint: rescale.zeroPoint,
        lo: rescale.lo,
        hi: rescale.hi,
        fill: tensor(output).zeroPoint,
        same: isSame ? 1 : 0,
        height,
        width,
        otherImageBytes: otherHeight * otherWidth * otherBytes,
        otherRowBytes: otherHeight > 1 ? otherWidth * otherBytes : 0,
        otherPixelBytes: otherWidth > 1 ? otherBytes : 0,
        otherStep: otherChannels === channels ? 4 : 0,
      }),
    );
    const tables = table ? [builder.constant('table', () => table)] : [];
    const args = [tensorAt(inputs[0]), tensorAt(inputs[1]), tensorAt(output), ...tables, block];
    return [builder.build('simd', [call(of, args, batch * height * width)])];
  },

  outputRange: ({ rescale: { lo, hi } }) => ({ lo, hi }),
};
