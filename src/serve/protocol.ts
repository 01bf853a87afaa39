/**
 * Messages of the Open Inference Protocol v2 (KServe's, Triton's) with its binary tensor data extension: a JSON header, and tensors
 * behind it as little-endian bytes, row-major.
 */
import * as v from 'valibot';
import { InputError } from '../errors.ts';
import { quantizeReal } from '../program/pointwise.ts';
import type { ProcessModel } from './messages.ts';
import type { Unit, UnitInput, UnitOutput } from './units.ts';

/** Where the JSON header of a body with binary tensors ends. */
export const HEADER_LENGTH = 'inference-header-content-length';

export interface InferRequest {
  readonly id: string | undefined;
  /** One for each picture. */
  readonly units: readonly Unit[];
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[];
}

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

const DATATYPES = {
  float32: 'FP32',
  int8: 'INT8',
  uint8: 'UINT8',
  int16: 'INT16',
  uint16: 'UINT16',
  int32: 'INT32',
  int64: 'INT64',
  bool: 'BOOL',
} as const;
/** Of inputs. */
type Datatype = 'FP32' | 'INT8' | 'UINT8';

/** Nested deeper than any tensor, `data` is an attack on the stack. */
const MAX_DEPTH = 8;
const MAX_ID_LENGTH = 256;

const parameters = v.optional(v.record(v.string(), v.unknown(), 'an object'), {});
const requestSchema = v.object(
  {
    id: v.optional(
      v.pipe(v.string('a string'), v.maxLength(MAX_ID_LENGTH, `at most ${MAX_ID_LENGTH} characters`)),
    ),
    parameters,
    inputs: v.array(
      v.object(
        {
          name: v.string('a string'),
          datatype: v.string('a string'),
          shape: v.array(v.pipe(v.number('a number'), v.safeInteger('an integer')), 'an array of integers'),
          data: v.optional(v.array(v.unknown(), 'an array')),
          parameters,
        },
        'an object { name, datatype, shape, data }',
      ),
      'an array of tensors',
    ),
    outputs: v.optional(
      v.array(
        v.object({ name: v.string('a string'), parameters }, 'an object { name }'),
        'an array of outputs',
      ),
    ),
  },
  'an object { inputs }',
);
type RequestHeader = v.InferOutput<typeof requestSchema>;
type TensorHeader = RequestHeader['inputs'][number];

/** Inputs and outputs as the model's metadata lists them; the batch is −1, and so is each size that a request chooses. */
export function tensorMetadata(
  tensors: ProcessModel['inputs'] | ProcessModel['outputs'],
): readonly TensorMetadata[] {
  return tensors.map(({ name, dtype, shape }) => ({
    name,
    datatype: DATATYPES[dtype],
    shape: [-1, ...shape.slice(1).map((size) => (typeof size === 'number' ? size : -1))],
  }));
}

/**
 * Reads the body of an `infer` request.
 *
 * @param headerLength value of `Inference-Header-Content-Length`; undefined where the body is JSON alone
 * @throws {InputError} everything that is wrong with it
 */
export function readInferRequest(
  model: ProcessModel,
  body: Uint8Array,
  headerLength: string | undefined,
): InferRequest {
  if (headerLength === '0') return readRawRequest(model, body);
  const end = headerLength === undefined ? body.length : Number(headerLength);
  if (!Number.isSafeInteger(end) || end < 0 || end > body.length) {
    throw new InputError(
      `Inference-Header-Content-Length is ${headerLength}, and the body has ${body.length} bytes`,
    );
  }
  const header = parseHeader(body.subarray(0, end));
  const binary = body.subarray(end);
  const inputs = readInputs(model, header.inputs, binary);
  return {
    id: header.id,
    units: splitUnits(inputs),
    outputs: readOutputs(model, header),
  };
}

function parseHeader(bytes: Uint8Array): RequestHeader {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new InputError(
      `the request is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
  const { success, output, issues } = v.safeParse(requestSchema, value);
  if (success) return output;
  const lines = issues.slice(0, 8).map((issue) => {
    const missing = issue.type === 'object' && issue.expected?.startsWith('"');
    return `${v.getDotPath(issue) ?? 'the request'} ${missing ? 'is missing' : `must be ${issue.message}`}`;
  });
  throw new InputError(lines.join('; '));
}

interface BatchInput {
  readonly name: string;
  readonly batch: number;
  readonly input: UnitInput;
}

function readInputs(
  model: ProcessModel,
  headers: readonly TensorHeader[],
  binary: Uint8Array,
): readonly BatchInput[] {
  let offset = 0;
  const read = new Map<string, BatchInput>();
  for (const header of headers) {
    const { name } = header;
    const size = header.parameters.binary_data_size;
    let bytes: Uint8Array | undefined;
    if (size !== undefined) {
      if (
        typeof size !== 'number' ||
        !Number.isSafeInteger(size) ||
        size < 0 ||
        offset + size > binary.length
      ) {
        throw new InputError(
          `binary_data_size of input "${name}" is ${JSON.stringify(size)}, and ${binary.length - offset} bytes of the body are left`,
        );
      }
      bytes = binary.subarray(offset, offset + size);
      offset += size;
    }
    if (read.has(name)) throw new InputError(`input "${name}" is there twice`);
    read.set(name, readInput(model, header, bytes));
  }
  if (offset !== binary.length) {
    throw new InputError(`${binary.length - offset} bytes of the body belong to no input`);
  }
  const inputs = model.inputs.map(({ name }) => {
    const input = read.get(name);
    if (!input) throw new InputError(`input "${name}" is missing`);
    return input;
  });
  if (inputs.some(({ batch }) => batch !== inputs[0].batch)) {
    throw new InputError(
      `the inputs are batches of ${inputs.map(({ batch }) => batch).join(', ')}: they must be of the same size`,
    );
  }
  return inputs;
}

function readInput(model: ProcessModel, header: TensorHeader, bytes: Uint8Array | undefined): BatchInput {
  const { name, datatype, shape } = header;
  const input = model.inputs.find((one) => one.name === name);
  if (!input) {
    const names = model.inputs.map((one) => `"${one.name}"`).join(', ');
    throw new InputError(`there is no input "${name.slice(0, 100)}": the model has ${names}`);
  }
  const { channels, height, width, dtype } = input;
  const sizes = input.shape.slice(1);
  // The file's own uint8 values are quantized already; of other files, uint8 are pixels.
  const isPixels = datatype === 'UINT8' && dtype !== 'uint8';
  const expected = isPixels ? [height ?? 'height', width ?? 'width', channels ?? 'channels'] : sizes;
  const accepted = new Set<string>(['FP32', dtype === 'uint8' ? 'UINT8' : 'INT8']);
  if (!isPixels && !accepted.has(datatype)) {
    throw new InputError(
      `input "${name}" takes FP32 (real values), ${DATATYPES[dtype === 'uint8' ? 'uint8' : 'int8']} (quantized ones)` +
        `${dtype === 'uint8' ? '' : ' or UINT8 (pixels, [N, height, width, channels])'}, not ${JSON.stringify(datatype.slice(0, 100))}`,
    );
  }
  if (isPixels && model.noPixels) {
    throw new InputError(`input "${name}" cannot take pixels: ${model.noPixels}`);
  }
  const [batch, ...rest] = shape;
  // Names are sizes that the request chooses.
  const fits = (size: number, i: number) =>
    typeof expected[i] === 'string' ? size >= 1 : size === expected[i];
  if (!(batch >= 1) || rest.length !== expected.length || !rest.every(fits)) {
    throw new InputError(
      `input "${name}" of type ${datatype} has shape [N, ${expected.join(', ')}] with N at least 1, not [${shape.slice(0, 16).join(', ')}]`,
    );
  }
  const count = rest.reduce((product, size) => product * size, batch);
  const { data } = header;
  if ((data === undefined) === (bytes === undefined)) {
    throw new InputError(`input "${name}" must have either data or parameters.binary_data_size`);
  }
  const values = bytes
    ? fromBytes(name, datatype as Datatype, bytes, count)
    : fromJson(name, datatype as Datatype, data!, count);
  return { name, batch, input: toUnitInput(input, values, isPixels, rest) };
}

function fromBytes(
  name: string,
  datatype: Datatype,
  bytes: Uint8Array,
  count: number,
): Float32Array | Int8Array | Uint8Array {
  const size = count * (datatype === 'FP32' ? 4 : 1);
  if (bytes.length !== size) {
    throw new InputError(`input "${name}" has ${bytes.length} bytes, and its shape takes ${size}`);
  }
  if (datatype === 'UINT8') return bytes;
  if (datatype === 'INT8') return new Int8Array(bytes.buffer, bytes.byteOffset, count);
  // A view has to be aligned. Not `slice`, which of a Buffer is no copy.
  const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Float32Array(buffer, byteOffset, count);
}

/** `data` may be flat or nested; only the order counts. */
function fromJson(
  name: string,
  datatype: Datatype,
  data: readonly unknown[],
  count: number,
): Float32Array | Int8Array | Uint8Array {
  // Counted before memory is taken for them: the shape may ask for any size.
  const given = countValues(name, data, 1);
  if (given !== count) {
    throw new InputError(`data of input "${name}" has ${given} values, and its shape takes ${count}`);
  }
  const values =
    datatype === 'FP32'
      ? new Float32Array(count)
      : datatype === 'INT8'
        ? new Int8Array(count)
        : new Uint8Array(count);
  const [low, high] = { FP32: [-Infinity, Infinity], INT8: [-128, 127], UINT8: [0, 255] }[datatype];
  let filled = 0;
  const visit = (items: readonly unknown[]): void => {
    for (const item of items) {
      if (Array.isArray(item)) {
        visit(item);
        continue;
      }
      const fits =
        typeof item === 'number' &&
        item >= low &&
        item <= high &&
        (datatype === 'FP32' || Number.isInteger(item));
      if (!fits) throw new InputError(`data of input "${name}" is no ${datatype} at index ${filled}`);
      values[filled++] = item;
    }
  };
  visit(data);
  return values;
}

function countValues(name: string, items: readonly unknown[], depth: number): number {
  let count = 0;
  for (const item of items) {
    if (!Array.isArray(item)) count++;
    else if (depth === MAX_DEPTH) throw new InputError(`data of input "${name}" is nested too deep`);
    else count += countValues(name, item, depth + 1);
  }
  return count;
}

function toUnitInput(
  { name, scale, zeroPoint }: ProcessModel['inputs'][number],
  values: Float32Array | Int8Array | Uint8Array,
  isPixels: boolean,
  shape: readonly number[],
): UnitInput {
  if (values instanceof Float32Array) {
    if (scale !== null)
      return { kind: 'quantized', data: quantizeReals(name, values, scale, zeroPoint!), shape };
    checkNumbers(name, values);
    return { kind: 'real', data: values, shape };
  }
  if (values instanceof Int8Array) return { kind: 'quantized', data: values, shape };
  if (isPixels) return { kind: 'pixels', data: values, shape };
  // Held as int8, 128 less.
  return { kind: 'quantized', data: Int8Array.from(values, (value) => value - 128), shape };
}

/** Real values must be numbers: found here, a NaN is the request's own error and not its batch's. */
function checkNumbers(name: string, values: Float32Array): void {
  // A loop: findIndex takes ten times as long, milliseconds for the pixels of a photograph.
  for (let index = 0; index < values.length; index++) {
    if (Number.isNaN(values[index])) throw notANumber(name, index);
  }
}

/** As the model itself would. Here, a quarter of the bytes goes through the channel to its process. */
function quantizeReals(name: string, values: Float32Array, scale: number, zeroPoint: number): Int8Array {
  const quantized = new Int8Array(values.length);
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (Number.isNaN(value)) throw notANumber(name, index);
    quantized[index] = quantizeReal(value, scale, zeroPoint);
  }
  return quantized;
}

function notANumber(name: string, index: number): InputError {
  return new InputError(`input "${name}" is not a number at index ${index}`);
}

/** One binary tensor without a header, for a model with one input: values of the type that the file declares. */
function readRawRequest(model: ProcessModel, body: Uint8Array): InferRequest {
  const [input] = model.inputs;
  if (model.inputs.length > 1) {
    throw new InputError(
      `a body without a header is for models with one input, this has ${model.inputs.length}`,
    );
  }
  const { name, shape, dtype } = input;
  const sizes = shape.slice(1).filter((size) => typeof size === 'number');
  if (sizes.length < shape.length - 1) {
    throw new InputError(
      `a body without a header says no sizes, and input "${name}" [${shape.join(', ')}] leaves some to the request`,
    );
  }
  const datatype = DATATYPES[dtype];
  const perPicture = sizes.reduce((product, size) => product * size, datatype === 'FP32' ? 4 : 1);
  const batch = body.length / perPicture;
  if (!Number.isInteger(batch) || batch < 1) {
    throw new InputError(
      `input "${name}" takes ${perPicture} bytes a picture (${datatype}), so the body must be a multiple of that, not ${body.length} bytes`,
    );
  }
  const header = { name, datatype, shape: [batch, ...sizes], parameters: {} };
  return {
    id: undefined,
    units: splitUnits([readInput(model, { ...header, data: undefined }, body)]),
    outputs: model.outputs.map((output) => ({ name: output.name, binary: true })),
  };
}

/** A unit for each picture of the batch: its slice of each input. */
function splitUnits(inputs: readonly BatchInput[]): readonly Unit[] {
  return Array.from({ length: inputs[0].batch }, (_, index): Unit => ({
    kind: 'inputs',
    inputs: Object.fromEntries(
      inputs.map(({ name, batch, input }) => {
        const length = input.data.length / batch;
        const data = input.data.subarray(index * length, (index + 1) * length);
        return [name, { ...input, data } as UnitInput];
      }),
    ),
  }));
}

function readOutputs(model: ProcessModel, header: RequestHeader): InferRequest['outputs'] {
  const binaryByDefault = header.parameters.binary_data_output === true;
  const asked = header.outputs ?? [];
  if (asked.length === 0) return model.outputs.map(({ name }) => ({ name, binary: binaryByDefault }));
  for (const { name, parameters: given } of asked) {
    if (!model.outputs.some((output) => output.name === name)) {
      const names = model.outputs.map((output) => `"${output.name}"`).join(', ');
      throw new InputError(`there is no output "${name.slice(0, 100)}": the model has ${names}`);
    }
    if (given.classification !== undefined) {
      throw new InputError('classification of outputs is not supported: use the classify route');
    }
  }
  if (new Set(asked.map(({ name }) => name)).size < asked.length) {
    throw new InputError('an output is asked for twice');
  }
  return asked.map(({ name, parameters: { binary_data: binary } }) => ({
    name,
    binary: typeof binary === 'boolean' ? binary : binaryByDefault,
  }));
}

export interface InferResponse {
  readonly body: string | Uint8Array;
  /** Value of `Inference-Header-Content-Length`; undefined where the body is JSON alone. */
  readonly headerLength: number | undefined;
}

/** Writes the answer to an `infer` request, one result for each of its units. */
export function writeInferResponse(
  names: { readonly model: string; readonly version: string },
  model: ProcessModel,
  request: InferRequest,
  results: readonly (readonly UnitOutput[])[],
): InferResponse {
  const binary: Uint8Array[] = [];
  const outputs = request.outputs.map((asked) => {
    const index = model.outputs.findIndex(({ name }) => name === asked.name);
    const { name, dtype } = model.outputs[index];
    const data = joinOutputs(results.map((outputs) => outputs[index].data));
    const tensor = {
      name,
      datatype: DATATYPES[dtype],
      shape: [results.length, ...results[0][index].shape],
    };
    if (!asked.binary) {
      // The protocol's booleans are JSON's.
      if (dtype === 'bool') return { ...tensor, data: Array.from(data, Boolean) };
      if (!data.every(Number.isFinite)) {
        throw new InputError(
          `output "${name}" has infinite values, which JSON cannot carry: ask for it with binary_data`,
        );
      }
      return { ...tensor, data: Array.from(data) };
    }
    const whole = dtype === 'int64' ? BigInt64Array.from(data, BigInt) : data;
    binary.push(new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength));
    return { ...tensor, parameters: { binary_data_size: whole.byteLength } };
  });
  const header = JSON.stringify({
    model_name: names.model,
    model_version: names.version,
    ...(request.id !== undefined && { id: request.id }),
    outputs,
  });
  if (binary.length === 0) return { body: header, headerLength: undefined };
  const text = Buffer.from(header);
  return { body: Buffer.concat([text, ...binary]), headerLength: text.length };
}

function joinOutputs(parts: readonly UnitOutput['data'][]): UnitOutput['data'] {
  if (parts.length === 1) return parts[0];
  const length = parts[0].length;
  const [first] = parts;
  const { constructor } = first;
  const whole = new (constructor as new (length: number) => UnitOutput['data'])(parts.length * length);
  for (const [index, part] of parts.entries()) whole.set(part, index * length);
  return whole;
}
