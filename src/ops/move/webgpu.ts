import { type MovePart as ShaderPart, moveWgsl } from '../../../shaders/move.wgsl.ts';
import { isRun } from '../../program/move.ts';
import { byteCount, type MoveOperation, type ProgramTensor, type TensorId } from '../../program/program.ts';
import { channelWords, layGrid, wordCount } from '../gpu-dispatch.ts';
import type { GpuCapabilities, GpuDispatch, GpuKernel, GpuVariant } from '../gpu-kernel.ts';

/** Storage buffers a dispatch may bind on every WebGPU device, less offsets, tables and the output. */
const MAX_INPUTS = 5;

export const webgpuKernel: GpuKernel<MoveOperation> = {
  variants: (operation, tensor, batch, capabilities) => [moveVariant(operation, tensor, batch, capabilities)],

  tuningKey: ({ inputs, output, parts }, tensor, batch) => {
    const from = inputs.map((id) => tensor(id).image.join('x')).join('+');
    const kinds = parts.map(({ source, table }) => `${source.kind}${table ? ' mapped' : ''}`).join('+');
    return `move ${batch}x(${from})→${tensor(output).image.join('x')} ${kinds}`;
  },
};

/** A part with what its dispatch needs to know of it. */
type Part = MoveOperation['parts'][number] & { readonly id: TensorId };

function moveVariant(
  operation: MoveOperation,
  tensor: (id: TensorId) => ProgramTensor,
  batch: number,
  capabilities: GpuCapabilities,
): GpuVariant {
  const { name, output, inputs } = operation;
  const parts = operation.parts.map((part, i): Part => ({ ...part, id: inputs[i] }));
  const dispatches: GpuDispatch[] = [];
  const constants: GpuVariant['constants'][number][] = [];
  const constant = (kind: string, data: () => Int32Array | Uint32Array): number =>
    constants.push({ key: `${name}#${output}/${kind}-${dispatches.length}`, data }) - 1;
  for (const slab of slabsOf(parts)) {
    for (const { firstWord, words, covering } of rangesOf(slab, tensor(output))) {
      dispatches.push(
        dispatchOf(operation, covering, firstWord, words, tensor, batch, capabilities, constant),
      );
    }
  }
  return { name: 'move', family: 'none', dispatches, constants, workspaces: [] };
}

/** Parts that fill the same rows and columns: their channels may share words. */
function slabsOf(parts: readonly Part[]): Part[][] {
  const slabs = new Map<string, Part[]>();
  for (const part of parts) {
    const key = [part.first[0], part.first[1], part.size[0], part.size[1]].join();
    const slab = slabs.get(key);
    if (slab) slab.push(part);
    else slabs.set(key, [part]);
  }
  return [...slabs.values()];
}

/** Neighbouring output words that at most `MAX_INPUTS` inputs cover: two dispatches never write the same word. */
function rangesOf(
  slab: readonly Part[],
  { image: [, , channels] }: ProgramTensor,
): { readonly firstWord: number; readonly words: number; readonly covering: readonly Part[] }[] {
  const coveringOf = (firstWord: number, endWord: number) =>
    slab.filter(({ first, size }) => first[2] < endWord * 4 && first[2] + size[2] > firstWord * 4);
  const ranges = [];
  const outWords = channelWords(channels);
  for (let firstWord = 0, endWord = 1; firstWord < outWords; firstWord = endWord, endWord++) {
    while (endWord < outWords && coveringOf(firstWord, endWord + 1).length <= MAX_INPUTS) endWord++;
    ranges.push({ firstWord, words: endWord - firstWord, covering: coveringOf(firstWord, endWord) });
  }
  return ranges;
}

function dispatchOf(
  { name, output, fill }: MoveOperation,
  parts: readonly Part[],
  firstWord: number,
  words: number,
  tensor: (id: TensorId) => ProgramTensor,
  batch: number,
  capabilities: GpuCapabilities,
  constant: (kind: string, data: () => Int32Array | Uint32Array) => number,
): GpuDispatch {
  const { image, zeroPoint } = tensor(output);
  const [height, width, channels] = image;
  const [{ first, size }] = parts;
  const lists: Int32Array[] = [];
  const tables: Int8Array[] = [];
  let offsets = 0;
  const place = (list: Int32Array): number => {
    lists.push(list);
    return (offsets += list.length) - list.length;
  };
  const shaderParts = parts.map((part): ShaderPart => {
    const { source, table } = part;
    // Of one channel that is stored along rows or columns, neighbours share a word.
    const startsWord = (offset: number) => offset < 0 || offset % 4 === 0;
    const isWhole =
      source.kind === 'axes' &&
      isRun(source.channels) &&
      [source.rows, source.columns, source.channels.subarray(0, 1)].every((list) => list.every(startsWord)) &&
      part.first[2] % 4 === 0;
    const endsWord = (part.first[2] + part.size[2]) % 4 === 0 || part.first[2] + part.size[2] === channels;
    return {
      firstChannel: part.first[2],
      channels: part.size[2],
      inBytes: byteCount(tensor(part.id), 1),
      inWords: wordCount(tensor(part.id), batch),
      kind: source.kind,
      rows: place(source.kind === 'axes' ? source.rows : source.offsets),
      columns: source.kind === 'axes' ? place(source.columns) : 0,
      lanes: source.kind === 'axes' ? place(source.channels) : 0,
      wholeWords: isWhole && endsWord,
      table: table ? (tables.push(table) - 1) * 64 : null,
    };
  });
  const box = { row: first[0], column: first[1], height: size[0], width: size[1] };
  const { grid, workgroups } = layGrid(batch * box.height * box.width * words, capabilities);
  const code = moveWgsl(
    {
      batch,
      height,
      width,
      channels,
      zeroPoint,
      fill,
      box,
      firstWord,
      words,
      parts: shaderParts,
      offsets,
      tables: tables.length * 64,
    },
    grid,
  );
  const constants = [constant('offsets', () => joined(lists, offsets))];
  if (tables.length > 0) constants.push(constant('tables', () => joinedTables(tables)));
  return {
    label: name,
    code,
    bindings: [
      ...parts.map(({ id }) => ({ kind: 'tensor', tensor: id, access: 'read' }) as const),
      ...constants.map((index) => ({ kind: 'constant', index }) as const),
      { kind: 'tensor', tensor: output, access: 'write' },
    ],
    workgroups,
  };
}

function joined(lists: readonly Int32Array[], length: number): Int32Array {
  const all = new Int32Array(length);
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}

function joinedTables(tables: readonly Int8Array[]): Uint32Array {
  const bytes = new Int8Array(tables.length * 256);
  for (const [i, table] of tables.entries()) bytes.set(table, i * 256);
  return new Uint32Array(bytes.buffer);
}
