/**
 * Golden packs: what a model computed somewhere, to be compared elsewhere. A zip file with the model, inputs, and the SHA-256 of every tensor: of
 * the logical tensor, row-major and without padding, so that it does not depend on how a device lays tensors out.
 */
import { strFromU8, strToU8, unzipSync, zipSync } from 'fflate';
import * as v from 'valibot';
import { asyncOptions, byteArray, check, flag, iterable, oneOf, options as optionsOf } from '../arguments.ts';
import { InputError, OctetError } from '../errors.ts';
import { compareTensors } from '../model/compare.ts';
import type { FixedModel } from '../model/fixed-sizes.ts';
import { isTensorInput } from '../model/inputs.ts';
import { loadModel } from '../model/load.ts';
import type {
  AdapterDescription,
  LoadOptions,
  Model,
  PixelsInput,
  RunInput,
  TensorInput,
  TensorValues,
} from '../model/model.ts';
import { OpenModel } from '../model/open-model.ts';
import type { TensorBuffer } from '../program/program.ts';
import type { AsyncOptions } from '../progress.ts';
import type { BackendName } from '../schedule/session.ts';
import { version } from '../version.ts';
import type { Picture } from '../vision/picture.ts';
import { resize } from '../vision/resize.ts';
import { logicalOrder } from './logical.ts';
import { decodeNpy, encodeNpy, type NpyArray, ZIP_TIME } from './npy.ts';

/**
 * One run: values of each input for one image or a batch. A picture is resized to the input's size; a model with open sizes runs at those of the
 * picture, of `{ data, shape }` or of `{ pixels, height, width }`.
 */
export interface GoldenCase {
  /** For reports, such as the picture's file. */
  readonly name: string;
  readonly inputs: Readonly<Record<string, Float32Array | Int8Array | TensorInput | GoldenPixels | Picture>>;
}

/** Pixels on the CPU: a pack keeps them. */
export type GoldenPixels = PixelsInput & { readonly pixels: Uint8Array };

export interface GoldenOptions
  extends AsyncOptions, Pick<LoadOptions, 'backend' | 'inputShape' | 'maxActivationBytes'> {
  /** Whether the pack holds the model; without it, whoever verifies has the file. Default true. */
  readonly withModel?: boolean;
  /** Whether it holds the tensors themselves, as .npy files, and not only their digests. Default false. */
  readonly withTensors?: boolean;
}

export interface VerifyOptions
  extends
    AsyncOptions,
    Pick<
      LoadOptions,
      'backend' | 'device' | 'inputShape' | 'maxActivationBytes' | 'operators' | 'powerPreference' | 'threads'
    > {
  /** The model file, for packs without it. */
  readonly model?: Uint8Array;
}

/** What a verification found. */
export interface GoldenVerification {
  readonly equal: boolean;
  readonly backend: BackendName;
  readonly adapter: AdapterDescription | null;
  readonly cases: number;
  /** Tensors and their elements that were compared, over all cases. */
  readonly tensors: number;
  readonly elements: number;
  /** The first that is not the same, in the order of cases and of execution. */
  readonly firstDiffering: { readonly case: string; readonly tensor: string } | null;
  /** For people: one line where all is equal, else the first difference. */
  readonly report: string;
  /** One line to quote: what ran, where, and the digest of all tensors. */
  readonly line: string;
}

const hex = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal'));
const sizes = v.array(v.pipe(v.number(), v.integer(), v.minValue(0)));
const file = v.pipe(v.string(), v.regex(/^[\w-]+\.npy$/, 'the name of an .npy file'));

const manifestSchema = v.object({
  golden: v.literal(1),
  octet: v.string(),
  model: v.object({ name: v.string(), sha256: hex }),
  backend: v.string(),
  device: v.string(),
  inputShape: v.optional(v.record(v.string(), v.union([v.number(), v.array(v.number())]))),
  cases: v.pipe(
    v.array(
      v.object({
        name: v.string(),
        inputs: v.array(v.object({ name: v.string(), kind: v.picklist(['pixels', 'values']), file })),
        tensors: v.array(
          v.object({
            name: v.string(),
            dtype: v.picklist(['int8', 'int32', 'float32']),
            shape: sizes,
            sha256: hex,
            file: v.optional(file),
          }),
        ),
      }),
    ),
    v.minLength(1),
  ),
});

type Manifest = v.InferOutput<typeof manifestSchema>;
type Case = Manifest['cases'][number];

const MANIFEST = 'golden.json';
const MODEL = 'model.onnx';
/** What a pack may unfold to: a few kilobytes of zip can hold gigabytes of zeros. */
const MAX_BYTES = 2 ** 31;

const cases = iterable;
const shared = { ...asyncOptions, backend: oneOf('auto', 'webgpu', 'wasm', 'reference') };
const goldenOptions = optionsOf({ ...shared, withModel: flag, withTensors: flag });
const verifyOptions = optionsOf({ ...shared, model: byteArray });

/**
 * Runs a model and packs what it computed.
 *
 * @param model bytes of the ONNX file
 * @returns a zip file
 * @throws {InputError} no case, or one whose inputs are not the model's
 * @throws {ModelError} the model cannot run
 */
export async function makeGoldenPack(
  model: Uint8Array,
  given: Iterable<GoldenCase> | AsyncIterable<GoldenCase>,
  options: GoldenOptions = {},
): Promise<Uint8Array> {
  check(
    'makeGoldenPack',
    { model: byteArray, cases, options: goldenOptions },
    { model, cases: given, options },
  );
  const { withModel = true, withTensors = false, signal, onProgress, ...load } = options;
  const loaded = await loadModel(model, { ...load, ...(signal && { signal }) });
  try {
    const files: Record<string, Uint8Array> = {};
    const list: Case[] = [];
    for await (const { name, inputs } of given) {
      signal?.throwIfAborted();
      const made = await atSizes(loaded, inputs, (fixed) =>
        makeCase(fixed, name, inputs, { index: list.length, withTensors, ...(signal && { signal }) }),
      );
      Object.assign(files, made.files);
      list.push(made.case);
      onProgress?.({ stage: 'evaluate', done: list.length, total: list.length });
    }
    if (list.length === 0) throw new InputError('a golden pack needs at least one picture or input');
    const manifest: Manifest = {
      golden: 1,
      octet: version,
      model: { name: loaded.name, sha256: await sha256(model) },
      backend: loaded.backend,
      device: deviceOf(loaded),
      ...(options.inputShape && {
        inputShape: structuredClone(options.inputShape) as Manifest['inputShape'],
      }),
      cases: list,
    };
    files[MANIFEST] = strToU8(`${JSON.stringify(manifest, null, 1)}\n`);
    if (withModel) files[MODEL] = model;
    return zipSync(files, { level: 6, mtime: ZIP_TIME });
  } finally {
    loaded.dispose();
  }
}

/** Calls `use` with the model of the sizes that the inputs say, where it leaves sizes open. */
function atSizes<R>(
  model: Model,
  inputs: Readonly<Record<string, RunInput>>,
  use: (fixed: FixedModel) => Promise<R>,
): Promise<R> {
  // What has no open sizes is a FixedModel: its shapes and its program are there.
  return model instanceof OpenModel ? model.at(inputs, {}, use) : use(model as FixedModel);
}

/** Runs one case, and gives what a pack holds of it. */
async function makeCase(
  model: FixedModel,
  name: string,
  inputs: GoldenCase['inputs'],
  { index, withTensors, signal }: { index: number; withTensors: boolean; signal?: AbortSignal },
): Promise<{ case: Case; files: Record<string, Uint8Array> }> {
  const files: Record<string, Uint8Array> = {};
  const kept = keptInputs(model, inputs);
  const values = await model.values(
    Object.fromEntries(kept.map(({ input, value }) => [input, value])),
    signal ? { signal } : {},
  );
  const tensors: Case['tensors'] = [];
  for (const [position, tensor] of [...values.values()].entries()) {
    const data = logicalOrder(tensorOf(model, tensor.name), tensor.data, tensor.shape[0]);
    const described = { ...describe(model, tensor), sha256: await sha256(bytesOf(data)) };
    const path = `case-${index}-tensor-${position}.npy`;
    if (withTensors) files[path] = encodeNpy({ data, shape: described.shape });
    tensors.push(withTensors ? { ...described, file: path } : described);
  }
  const paths = kept.map(({ input, kind, array }, position) => {
    const path = `case-${index}-input-${position}.npy`;
    files[path] = encodeNpy(array);
    return { name: input, kind, file: path };
  });
  return { case: { name, inputs: paths, tensors }, files };
}

/**
 * Runs the model of a pack here and compares every tensor.
 *
 * @throws {InputError} it is no golden pack, or is without its model and none, or another, is given
 * @throws {DeviceError} the backend that was asked for is not there
 */
export async function verifyGoldenPack(
  pack: Uint8Array,
  options: VerifyOptions = {},
): Promise<GoldenVerification> {
  check('verifyGoldenPack', { pack: byteArray, options: verifyOptions }, { pack, options });
  const { model: given, signal, onProgress, ...load } = options;
  const files = unpack(pack);
  const manifest = readManifest(files);
  const bytes = given ?? files[MODEL];
  if (!(bytes instanceof Uint8Array)) {
    throw new InputError(
      'the golden pack is without its model: pass the file that it was made from (--model)',
    );
  }
  const digest = await sha256(bytes);
  if (digest !== manifest.model.sha256) {
    throw new InputError(
      `the golden pack is of another model than the one given: SHA-256 ${manifest.model.sha256}, not ${digest}`,
    );
  }
  const { inputShape } = manifest;
  const model = await loadModel(bytes, {
    ...(inputShape && { inputShape }),
    ...load,
    ...(signal && { signal }),
  });
  try {
    let tensors = 0;
    let elements = 0;
    const digests: string[] = [];
    const result = async (found: { case: Case; tensor: string; report: string } | null) => {
      const all = await sha256(strToU8(digests.join('')));
      const where = `${model.backend}${model.adapter ? ` on ${deviceOf(model)}` : ''}, Octet ${version}`;
      const what = `${manifest.model.name} (${digest.slice(0, 12)}), ${manifest.cases.length} ${manifest.cases.length === 1 ? 'case' : 'cases'}, ${tensors} tensors, ${elements.toLocaleString('en')} elements`;
      return {
        equal: found === null,
        backend: model.backend,
        adapter: model.adapter,
        cases: manifest.cases.length,
        tensors,
        elements,
        firstDiffering: found && { case: found.case.name, tensor: found.tensor },
        report: found?.report ?? `${model.backend} equals the golden pack: ${what}, none differs`,
        line: `${found ? `DIFFERS at "${found.tensor}"` : 'verified'}: ${what} on ${where}; sha256 ${all}`,
      };
    };
    for (const [index, each] of manifest.cases.entries()) {
      signal?.throwIfAborted();
      const inputs = inputsOf(model, each, files);
      const found = await atSizes(model, inputs, async (fixed) => {
        const values = await fixed.values(inputs, signal ? { signal } : {});
        for (const expected of each.tensors) {
          const tensor = values.get(expected.name);
          if (!tensor) throw new InputError(noTensor(expected.name));
          const data = logicalOrder(tensorOf(fixed, tensor.name), tensor.data, tensor.shape[0]);
          tensors++;
          elements += data.length;
          const actual = await sha256(bytesOf(data));
          digests.push(actual);
          if (actual === expected.sha256) continue;
          const difference = { golden: each, expected, actual: tensor, inputs };
          const report = await describeDifference(fixed, bytes, difference, files, {
            ...options,
            ...(inputShape && { inputShape }),
          });
          return { case: each, tensor: expected.name, report };
        }
        return null;
      });
      if (found) return await result(found);
      onProgress?.({ stage: 'evaluate', done: index + 1, total: manifest.cases.length });
    }
    return await result(null);
  } finally {
    model.dispose();
  }
}

const noTensor = (name: string) =>
  `the golden pack has a tensor "${name}", which the model does not compute here: it was made by another version of Octet`;

function unpack(pack: Uint8Array): Record<string, Uint8Array | undefined> {
  let total = 0;
  try {
    return unzipSync(pack, {
      filter: ({ originalSize }) => {
        total += originalSize;
        if (total > MAX_BYTES)
          throw new InputError(`a golden pack may unfold to ${MAX_BYTES} bytes, not more`);
        return true;
      },
    });
  } catch (cause) {
    if (cause instanceof OctetError) throw cause;
    throw new InputError('it is no golden pack: octet golden writes one, a zip file', { cause });
  }
}

function readManifest(files: Readonly<Record<string, Uint8Array | undefined>>): Manifest {
  const bytes = files[MANIFEST];
  let json: unknown;
  try {
    json = bytes && (JSON.parse(strFromU8(bytes)) as unknown);
  } catch {
    json = undefined;
  }
  const { output, issues, success } = v.safeParse(manifestSchema, json);
  if (success) return output;
  const [issue] = issues;
  throw new InputError(
    `it is no golden pack that this version reads: ${MANIFEST}: ${v.getDotPath(issue) ?? 'the file'}: ${issue.message}`,
  );
}

interface KeptInput {
  readonly input: string;
  readonly kind: 'pixels' | 'values';
  readonly array: NpyArray;
  readonly value: RunInput;
}

/** Inputs as a pack holds them. */
function keptInputs(model: FixedModel, inputs: GoldenCase['inputs']): KeptInput[] {
  if (typeof inputs !== 'object' || inputs === null) {
    throw new InputError('a case of a golden pack has a name and inputs by name');
  }
  return Object.entries(inputs).map(([input, value]): KeptInput => {
    const port = model.inputs.find(({ name }) => name === input);
    if (!port) throw new InputError(`a case of a golden pack has an input "${input}", which the model lacks`);
    const { height, width, channels } = port;
    const isTensor = isTensorInput(value);
    if (isTensor || value instanceof Float32Array || value instanceof Int8Array) {
      const data = isTensor ? value.data : value;
      const sizes = port.shape.slice(1).map(Number);
      const perImage = sizes.reduce((product, size) => product * size, 1);
      const shape = [data.length / perImage, ...sizes];
      return { input, kind: 'values', array: { data: data.slice(), shape }, value };
    }
    const pixels = 'pixels' in value ? value.pixels : Uint8Array.from(resize(value, width, height).data);
    const depth = 'pixels' in value ? channels : pixels.length / (height * width);
    if (!('pixels' in value) && depth !== channels) {
      throw new InputError(`"${input}" takes pictures of ${channels} channels, and one of ${depth} is given`);
    }
    const shape = [pixels.length / (height * width * channels), height, width, channels];
    return { input, kind: 'pixels', array: { data: pixels, shape }, value: { pixels } };
  });
}

function inputsOf(
  model: Model,
  { inputs }: Case,
  files: Readonly<Record<string, Uint8Array | undefined>>,
): Record<string, RunInput> {
  return Object.fromEntries(
    inputs.map(({ name, kind, file: path }): [string, RunInput] => {
      const bytes = files[path];
      if (!bytes) throw new InputError(`the golden pack lacks ${path}`);
      const { data, shape } = decodeNpy(bytes, path);
      const [, height, width] = shape;
      if (kind === 'pixels' && data instanceof Uint8Array) return [name, { pixels: data, height, width }];
      if (data instanceof Float32Array || data instanceof Int8Array) {
        return [name, model.program ? data : { data, shape }];
      }
      throw new InputError(`the golden pack's ${path} has values of another type than an input takes`);
    }),
  );
}

function tensorOf({ program }: FixedModel, name: string) {
  return program.tensors.find((tensor) => tensor.name === name)!;
}

/** Shape of the logical tensor, with the batch of the run. */
function describe(
  model: FixedModel,
  { name, shape: [batch], data }: TensorValues,
): Omit<Case['tensors'][number], 'sha256'> {
  const { shape } = tensorOf(model, name);
  const inner = shape.slice(1).map(Number);
  const count = inner.reduce((product, size) => product * size, 1);
  const dtype = data instanceof Int8Array ? 'int8' : data instanceof Int32Array ? 'int32' : 'float32';
  return { name, dtype, shape: batch * count === data.length ? [batch, ...inner] : [data.length] };
}

/** The small report of comparisons, where the pack or the reference here has what was expected. */
async function describeDifference(
  model: FixedModel,
  bytes: Uint8Array,
  {
    golden,
    expected,
    actual,
    inputs,
  }: {
    readonly golden: Case;
    readonly expected: Case['tensors'][number];
    readonly actual: TensorValues;
    readonly inputs: Readonly<Record<string, RunInput>>;
  },
  files: Readonly<Record<string, Uint8Array | undefined>>,
  { inputShape, maxActivationBytes }: VerifyOptions,
): Promise<string> {
  const head = `case "${golden.name}": ${model.backend} differs from the golden pack, first in tensor "${expected.name}" [${expected.shape.join(', ')}]`;
  const npy = expected.file === undefined ? undefined : files[expected.file];
  if (npy) {
    const { data } = decodeNpy(npy, expected.file!);
    const now = logicalOrder(tensorOf(model, actual.name), actual.data, actual.shape[0]);
    const places = Array.from(now.keys()).filter((i) => !Object.is(now[i], data[i]));
    const [at] = places;
    return `${head}\n  ${places.length.toLocaleString('en')} of ${now.length.toLocaleString('en')} elements differ, first at ${at}: ${now[at]}, expected ${data[at]}`;
  }
  using reference = await loadModel(bytes, {
    backend: 'reference',
    ...(inputShape && { inputShape }),
    ...(maxActivationBytes !== undefined && { maxActivationBytes }),
  });
  return atSizes(reference, inputs, async (fixed) => {
    const truth = (await fixed.values(inputs, { tensors: [expected.name] })).get(expected.name)!;
    const data = logicalOrder(tensorOf(fixed, truth.name), truth.data, truth.shape[0]);
    if ((await sha256(bytesOf(data))) !== expected.sha256) {
      return `${head}\n  the reference here differs from it too: the pack was changed, or made by another version of Octet`;
    }
    const { report } = compareTensors(
      { backend: model.backend, tensors: new Map([[actual.name, actual]]) },
      { backend: 'reference', tensors: new Map([[truth.name, truth]]) },
    );
    return `${head}\n${report}`;
  });
}

function deviceOf({ backend, adapter }: Pick<Model, 'backend' | 'adapter'>): string {
  if (!adapter) return backend;
  const names = [adapter.description, adapter.vendor, adapter.architecture].filter((name) => name !== '');
  return names.slice(0, 2).join(', ') || 'an adapter that does not tell its name';
}

const bytesOf = ({ buffer, byteOffset, byteLength }: TensorBuffer) =>
  new Uint8Array(buffer, byteOffset, byteLength);

async function sha256(bytes: Uint8Array): Promise<string> {
  // Pages have it where they are served by https, or from this machine.
  const subtle = (globalThis.crypto as Crypto | undefined)?.subtle;
  if (!subtle) throw new OctetError('SHA-256 is missing here: serve the page with https');
  // It takes no shared memory; a slice of that is not shared.
  const own = bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice();
  const digest = await subtle.digest('SHA-256', own as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
