import { type MatMulOperation, paddedChannels } from '../../program/program.ts';
import { call, parameterBlock, scratch, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

/** Rows of the first operand that a call takes at a time (matMul.ts). */
const ROWS = 4;

export const wasmKernel: WasmKernel<MatMulOperation> = {
  variants({ inputs, output, requantize: q }, tensor, batch) {
    const builder = new VariantBuilder();
    const [a, b] = inputs.map(tensor);
    const [rows, height, depth] = a.image;
    const [, width] = b.image;
    const stored = paddedChannels(depth);
    const blocks = Math.ceil(height / ROWS);
    const block = builder.constant('shape', () =>
      parameterBlock('MatMul', {
        height,
        width,
        depth: stored,
        outWidth: paddedChannels(width),
        blocks,
        inputZeroPoint: a.zeroPoint,
        otherZeroPoint: b.zeroPoint,
        requantized: q ? 1 : 0,
        mantissa: q?.mantissa ?? 0,
        shift: q?.shift ?? 0,
        zeroPoint: q?.zeroPoint ?? 0,
        lo: q?.lo ?? 0,
        hi: q?.hi ?? 0,
      }),
    );
    const args = [tensorAt(a.id), tensorAt(b.id), tensorAt(output), scratch, block];
    // The rows in 16 bits, in whole vectors.
    const scratchBytes = ROWS * Math.ceil(stored / 8) * 16;
    return [builder.build('rows', [call('matMul', args, batch * rows * blocks, scratchBytes)])];
  },

  outputRange: ({ requantize }) => ({ lo: requantize?.lo ?? -128, hi: requantize?.hi ?? 127 }),
};
