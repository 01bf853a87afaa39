/** Pictures, and every tensor that the reference computes from each: two files, `<name>.json` and `<name>.bin`. */
import { readFile, writeFile } from 'node:fs/promises';
import type { TensorValues, Model } from '../src/index.ts';

interface GoldenIndex {
  readonly pictures: number;
  readonly bytesAPicture: number;
  /** Of one picture, in the order in which they lie behind its pixels. */
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: 'int8' | 'int32';
    readonly elements: number;
  }[];
}

type Data = TensorValues['data'];

export interface Golden {
  readonly pictures: number;
  /** Pixels of `count` pictures from `first` on, wrapping around. */
  pixels(first: number, count: number): Uint8Array;
  /** A tensor of those pictures, one after the other. */
  tensor(name: string, first: number, count: number): Data;
}

/** Runs the reference on each picture and writes what it computes. */
export async function writeGolden(
  file: string,
  reference: Model,
  pictures: readonly Uint8Array[],
): Promise<void> {
  const parts: Uint8Array[] = [];
  let tensors: GoldenIndex['tensors'] = [];
  for (const pixels of pictures) {
    parts.push(pixels);
    const inspected = await reference.values({ [reference.inputs[0].name]: { pixels } });
    tensors = [...inspected].map(([name, { data }]) => ({
      name,
      dtype: data instanceof Int8Array ? 'int8' : 'int32',
      elements: data.length,
    }));
    for (const { data } of inspected.values())
      parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  const index: GoldenIndex = { pictures: pictures.length, bytesAPicture: pictures[0].length, tensors };
  await writeFile(`${file}.json`, `${JSON.stringify(index)}\n`);
  await writeFile(`${file}.bin`, Buffer.concat(parts));
}

export async function readGolden(file: string): Promise<Golden> {
  const index = JSON.parse(await readFile(`${file}.json`, 'utf8')) as GoldenIndex;
  const bytes = new Uint8Array(await readFile(`${file}.bin`));
  const { pictures, bytesAPicture, tensors } = index;
  const places = new Map<
    string,
    { readonly offset: number; readonly bytes: number; readonly wide: boolean }
  >();
  let stride = bytesAPicture;
  for (const { name, dtype, elements } of tensors) {
    const length = dtype === 'int8' ? elements : elements * 4;
    places.set(name, { offset: stride, bytes: length, wide: dtype === 'int32' });
    stride += length;
  }
  const gather = (offset: number, length: number, first: number, count: number): Uint8Array => {
    const gathered = new Uint8Array(count * length);
    for (let i = 0; i < count; i++) {
      const from = ((first + i) % pictures) * stride + offset;
      gathered.set(bytes.subarray(from, from + length), i * length);
    }
    return gathered;
  };
  return {
    pictures,
    pixels: (first, count) => gather(0, bytesAPicture, first, count),
    tensor(name, first, count) {
      const place = places.get(name);
      if (!place) throw new Error(`the reference has no tensor "${name}": pack again`);
      const { buffer } = gather(place.offset, place.bytes, first, count);
      return place.wide ? new Int32Array(buffer) : new Int8Array(buffer);
    },
  };
}
