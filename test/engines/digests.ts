/**
 * What must be the same bytes in every JavaScript engine, as SHA-256 by name: the functions of src/numerics, and every tensor and
 * output of whole networks on every backend that needs no GPU. No Node imports: browsers run it too.
 */
import { loadModel } from '../../src/model/load.ts';
import * as elementary from '../../src/numerics/elementary.ts';
import { softmax } from '../../src/vision/ranking.ts';
import { createRandom } from '../support/random.ts';

export type Digests = Readonly<Record<string, string>>;

/** Reads a file that `prepare.ts` has made. */
export type ReadFile = (name: string) => Promise<Uint8Array>;

export const MODELS = ['vgg16', 'resnet20', 'mobilenetv2'] as const;
/** Pictures of 32×32 RGB in `pictures.bin`, one after the other: one has every kernel run, and the reference is slow. */
export const PICTURES = 1;

export async function functionDigests(): Promise<Digests> {
  const random = createRandom(7);
  const inputs = Array.from({ length: 4000 }, () => (random.next() - 0.5) * 2 ** random.int(-30, 10));
  const digests: Record<string, string> = {};
  for (const name of ['erf', 'exp', 'expm1', 'tanh'] as const) {
    digests[name] = await sha256(Float64Array.from(inputs, elementary[name]));
  }
  // Above 0 only: of NaN, which they give below, engines may choose the bits.
  const positive = inputs.map(Math.abs);
  for (const name of ['log', 'log1p'] as const) {
    digests[name] = await sha256(Float64Array.from(positive, elementary[name]));
  }
  digests.pow = await sha256(Float64Array.from(positive, (x) => elementary.pow(x, random.next() * 9)));
  // Lint allows it: a power of two is exact everywhere.
  digests['2 ** n'] = await sha256(Float64Array.from({ length: 2098 }, (_, i) => 2 ** (i - 1074)));
  return digests;
}

/** @param threads of the wasm backend, undefined for its default */
export async function modelDigests(
  model: (typeof MODELS)[number],
  backend: 'reference' | 'wasm',
  read: ReadFile,
  threads?: number,
): Promise<Digests> {
  const pixels = await read('pictures.bin');
  const bytes = await read(`${model}.onnx`);
  using loaded = await loadModel(bytes, { backend, ...(threads !== undefined && { threads }) });
  const input = { [loaded.inputs[0].name]: { pixels } };
  const digests: Record<string, string> = {};
  for (const [name, { data }] of await loaded.values(input)) digests[`tensor ${name}`] = await sha256(data);
  const { outputs } = await loaded.run(input);
  for (const [name, { data }] of Object.entries(outputs)) {
    digests[`output ${name}`] = await sha256(data);
    digests[`probabilities of ${name}`] = await sha256(softmax(Float64Array.from(data)));
  }
  return digests;
}

async function sha256(
  values: Float64Array | Float32Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array,
): Promise<string> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
