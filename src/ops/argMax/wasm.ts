import { type ArgMaxOperation, elementCount, paddedChannels } from '../../program/program.ts';
import { call, number, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<ArgMaxOperation> = {
  variants({ inputs, output, function: of, isLast }, tensor, batch) {
    const channels = tensor(inputs[0]).image[2];
    const args = [
      tensorAt(inputs[0]),
      tensorAt(output),
      number(paddedChannels(channels)),
      number(channels),
      number(of === 'max' ? 0 : -1),
      number(isLast ? 1 : 0),
    ];
    const pixels = elementCount(tensor(output), batch);
    return [new VariantBuilder().build('pixels', [call('argMax', args, pixels)])];
  },
};
