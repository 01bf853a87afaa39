/** NumPy's .npy files, version 1.0 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), of the types that packs hold. */
import { InputError } from '../errors.ts';

export type NpyData = Int8Array | Uint8Array | Int32Array | Float32Array;

export interface NpyArray {
  readonly data: NpyData;
  readonly shape: readonly number[];
}

/** Zip files hold no earlier time: those of equal arrays have equal bytes. */
export const ZIP_TIME = new Date(1980, 0, 1);

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0];

const types = {
  '|i1': Int8Array,
  '|u1': Uint8Array,
  '<i4': Int32Array,
  '<f4': Float32Array,
} as const;

export function encodeNpy({ data, shape }: NpyArray): Uint8Array {
  const type = Object.entries(types).find(([, Type]) => data instanceof Type)![0];
  const list = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${list}), }`;
  // The data start at a multiple of 64.
  const start = Math.ceil((MAGIC.length + 2 + text.length + 1) / 64) * 64;
  const bytes = new Uint8Array(start + data.byteLength);
  bytes.set(MAGIC);
  new DataView(bytes.buffer).setUint16(MAGIC.length, start - MAGIC.length - 2, true);
  bytes.set(new TextEncoder().encode(text.padEnd(start - MAGIC.length - 3)), MAGIC.length + 2);
  bytes[start - 1] = 0x0a;
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
  return bytes;
}

/** @throws {InputError} no .npy of such a type, or cut off */
export function decodeNpy(bytes: Uint8Array, name: string): NpyArray {
  const fail = (): never => {
    throw new InputError(`${name} is no whole .npy file of int8, uint8, int32 or float32 in C order`);
  };
  if (bytes.length < 10 || MAGIC.some((byte, i) => bytes[i] !== byte)) return fail();
  const start = 10 + bytes[8] + 256 * bytes[9];
  const header = new TextDecoder('latin1').decode(bytes.subarray(10, start));
  const [, descr = ''] = /'descr': *'([^']*)'/.exec(header) ?? [];
  const [, dimensions] = /'shape': *\(([\d, ]*)\)/.exec(header) ?? [];
  if (!(descr in types) || dimensions === undefined || !header.includes("'fortran_order': False"))
    return fail();
  const shape = dimensions
    .split(',')
    .filter((size) => size.trim() !== '')
    .map(Number);
  const Type = types[descr as keyof typeof types];
  const count = shape.reduce((product, size) => product * size, 1);
  if (bytes.length !== start + count * Type.BYTES_PER_ELEMENT) return fail();
  // A copy: the data need not lie at a multiple of their size.
  return { data: new Type(bytes.slice(start).buffer), shape };
}
