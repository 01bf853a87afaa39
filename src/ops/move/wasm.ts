import { isRun } from '../../program/move.ts';
import { byteCount, type MoveOperation, type MoveSource, paddedChannels } from '../../program/program.ts';
import { call, parameterBlock, tensorAt, VariantBuilder } from '../wasm-call.ts';
import type { WasmKernel } from '../wasm-kernel.ts';

export const wasmKernel: WasmKernel<MoveOperation> = {
  variants({ inputs, output, parts, fill }, tensor, batch) {
    const builder = new VariantBuilder();
    const { image, zeroPoint } = tensor(output);
    const [outHeight, outWidth, channels] = image;
    const outChannels = paddedChannels(channels);
    const calls = parts.map(({ first, size, source, table }, i) => {
      const endChannel = first[2] + size[2];
      const block = builder.constant(`shape-${i}`, () =>
        parameterBlock('Move', {
          height: size[0],
          width: size[1],
          channels: size[2],
          firstRow: first[0],
          firstColumn: first[1],
          firstChannel: first[2],
          outHeight,
          outWidth,
          outChannels,
          inBytes: byteCount(tensor(inputs[i]), 1),
          run: source.kind === 'elements' ? -1 : isRun(source.channels) ? 1 : 0,
          mapped: table ? 1 : 0,
          fill,
          fillFrom: endChannel === channels ? channels : outChannels,
          zeroPoint,
        }),
      );
      const offsets = builder.constant(`offsets-${i}`, () => offsetList(source));
      // Never read where there is no table.
      const mapping = table ? builder.constant(`table-${i}`, () => table) : offsets;
      const args = [tensorAt(inputs[i]), tensorAt(output), offsets, mapping, block];
      return call('move', args, batch * size[0]);
    });
    return [builder.build('bytes', calls)];
  },

  outputRange({ inputs, parts, fill }, range) {
    const ranges = parts.map(({ table }, i) =>
      table
        ? { lo: table.reduce((a, b) => Math.min(a, b)), hi: table.reduce((a, b) => Math.max(a, b)) }
        : range(inputs[i]),
    );
    return {
      lo: ranges.reduce((least, { lo }) => Math.min(least, lo), fill),
      hi: ranges.reduce((most, { hi }) => Math.max(most, hi), fill),
    };
  },
};

function offsetList(source: MoveSource): Int32Array {
  if (source.kind === 'elements') return source.offsets;
  const { rows, columns, channels } = source;
  const list = new Int32Array(rows.length + columns.length + channels.length);
  list.set(rows);
  list.set(columns, rows.length);
  list.set(channels, rows.length + columns.length);
  return list;
}
