import type { ConstantOperation } from '../../program/program.ts';
import { call, number, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<ConstantOperation> = {
  variants({ output, values }, _, batch) {
    const builder = new VariantBuilder();
    const args = [builder.constant('values', () => values), tensorAt(output), number(values.length)];
    return [builder.build('copy', [call('repeat', args, batch)])];
  },
};
