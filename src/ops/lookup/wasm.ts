import { type LookupOperation, paddedChannels } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';
import { storedTables } from './tables.ts';

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
    const tables = builder.constant('table', () => storedTables(table, channels, zeroPoint));
    const args = [tensorAt(inputs[0]), tensorAt(output), tables, block];
    const isOfChannels = table.length > 256;
    const units = batch * height * width;
    return [
      builder.build(isOfChannels ? 'tables' : 'table', [
        call(isOfChannels ? 'lookupChannels' : 'lookup', args, units),
      ]),
    ];
  },

  outputRange: ({ table }) => ({
    lo: table.reduce((lo, q) => Math.min(lo, q), 127),
    hi: table.reduce((hi, q) => Math.max(hi, q), -128),
  }),
};
