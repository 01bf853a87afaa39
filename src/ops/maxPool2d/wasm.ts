import type { MaxPool2dOperation } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';
import { poolBlock } from '../wasm-pool.ts';

export const wasmKernel: WasmKernel<MaxPool2dOperation> = {
  variants(operation, tensor, batch) {
    const builder = new VariantBuilder();
    const input = tensor(operation.inputs[0]);
    const output = tensor(operation.output);
    const block = builder.constant('shape', () =>
      parameterBlock('Pool', poolBlock(operation, input, output)),
    );
    const args = [tensorAt(input.id), tensorAt(output.id), block];
    return [builder.build('simd', [call('maxPool', args, batch * output.image[0])])];
  },

  outputRange: ({ inputs }, range) => range(inputs[0]),
};
