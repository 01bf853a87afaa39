import { paddedChannels, type ReduceOperation } from '../../program/program.ts';
import { call, number, parameterBlock, scratch, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';
import { REDUCE_FINISHES, REDUCE_FUNCTIONS } from '../wasm-parameters.ts';

/** Channels of a unit of work (reduce.ts). */
const BLOCK_CHANNELS = 64;

export const wasmKernel: WasmKernel<ReduceOperation> = {
  variants({ inputs, output: outputId, function: fold, axes, finish }, tensor, batch) {
    const builder = new VariantBuilder();
    const input = tensor(inputs[0]);
    const output = tensor(outputId);
    const [height, width, channels] = input.image;
    const [outHeight, outWidth] = output.image;
    const blocks = axes[2] ? 1 : Math.ceil(channels / BLOCK_CHANNELS);
    const q = finish.kind === 'requantize' ? finish.requantize : undefined;
    const block = builder.constant('shape', () =>
      parameterBlock('Reduce', {
        height,
        width,
        channels: paddedChannels(channels),
        lastLanes: ((channels - 1) & 3) + 1,
        outHeight,
        outWidth,
        rows: axes[0] ? height : 1,
        columns: axes[1] ? width : 1,
        across: axes[2] ? 1 : 0,
        blocks,
        fold: REDUCE_FUNCTIONS.indexOf(fold),
        inputZeroPoint: input.zeroPoint,
        finish: REDUCE_FINISHES.indexOf(finish.kind),
        mantissa: q?.mantissa ?? 0,
        shift: q?.shift ?? 0,
        zeroPoint: output.zeroPoint,
        lo: finish.kind === 'thresholds' ? finish.lo : (q?.lo ?? 0),
        hi: q?.hi ?? 0,
      }),
    );
    const thresholds =
      finish.kind === 'thresholds' ? builder.constant('thresholds', () => finish.thresholds) : number(0);
    const args = [tensorAt(input.id), tensorAt(outputId), thresholds, scratch, block];
    const units = batch * outHeight * outWidth * blocks;
    return [builder.build('fold', [call('reduce', args, units, 4 * BLOCK_CHANNELS)])];
  },

  outputRange({ inputs: [input], finish }, range) {
    switch (finish.kind) {
      case 'select':
        return range(input);
      case 'requantize':
        return finish.requantize;
      case 'thresholds':
        return { lo: finish.lo, hi: 127 };
    }
  },
};
