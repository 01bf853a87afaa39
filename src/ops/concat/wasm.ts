import { type ConcatOperation, paddedChannels } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<ConcatOperation> = {
  variants({ inputs, output, rescales }, tensor, batch) {
    const builder = new VariantBuilder();
    const [height, width, outChannels] = tensor(output).shape;
    let firstChannel = 0;
    const calls = inputs.map((id, i) => {
      const channels = tensor(id).shape[2];
      const rescale = rescales[i];
      const fields = {
        channels: paddedChannels(channels),
        lastLanes: ((channels - 1) & 3) + 1,
        multiplier: rescale.multipliers[0],
        inputZeroPoint: rescale.inputZeroPoints[0],
        shift: rescale.shift,
        zeroPoint: rescale.zeroPoint,
        lo: rescale.lo,
        hi: rescale.hi,
        outChannels: paddedChannels(outChannels),
        firstChannel,
        fillFrom: i === inputs.length - 1 ? outChannels : paddedChannels(outChannels),
      };
      firstChannel += channels;
      const block = builder.constant(`shape-${i}`, () => parameterBlock('Concat', fields));
      return call('concat', [tensorAt(id), tensorAt(output), block], batch * height * width);
    });
    return [builder.build('simd', calls)];
  },

  outputRange: ({ rescales }) => ({
    lo: rescales.reduce((least, { lo }) => Math.min(least, lo), 127),
    hi: rescales.reduce((most, { hi }) => Math.max(most, hi), -128),
  }),
};
