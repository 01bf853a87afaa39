import type { AveragePool2dOperation } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';
import { poolBlock } from '../wasm-pool.ts';

export const wasmKernel: WasmKernel<AveragePool2dOperation> = {
  variants(operation, tensor, batch) {
    const { rescale, pads, overhang, countIncludePad } = operation;
    const builder = new VariantBuilder();
    const input = tensor(operation.inputs[0]);
    const output = tensor(operation.output);
    const block = builder.constant('shape', () =>
      parameterBlock('Pool', {
        ...poolBlock(operation, input, output),
        inputZeroPoint: rescale.inputZeroPoints[0],
        zeroPoint: rescale.zeroPoint,
        lo: rescale.lo,
        hi: rescale.hi,
        shift: rescale.shift,
        countedHeight: countIncludePad ? input.image[0] + pads[2] - overhang[0] : 0,
        countedWidth: countIncludePad ? input.image[1] + pads[3] - overhang[1] : 0,
      }),
    );
    const multipliers = builder.constant('multipliers', () => rescale.multipliers);
    const args = [tensorAt(input.id), tensorAt(output.id), multipliers, block];
    return [builder.build('simd', [call('averagePool', args, batch * output.image[0])])];
  },

  outputRange: ({ rescale: { lo, hi } }) => ({ lo, hi }),
};
