/**
 * Float inference with ONNX Runtime. Octet computes integers; where it needs a float model's values (calibration, comparison), the
 * optional peer dependency `onnxruntime-web` runs it.
 */
import type * as OnnxRuntime from 'onnxruntime-web';
import * as v from 'valibot';
import { check, index, options, texts } from '../arguments.ts';
import { InputError, ModelError, OctetError } from '../errors.ts';
import type { Graph, ValueInfo } from '../graph/graph.ts';
import { encodeModel } from '../onnx/encode.ts';
import { graphSchema } from '../onnx/graph-schema.ts';

export type OnnxRuntimeModule = typeof OnnxRuntime;

export interface OnnxRuntimeOptions {
  /** The module to use; by default `onnxruntime-web` is imported. Pass it where it has been configured (paths, threads). */
  readonly onnxRuntime?: OnnxRuntimeModule;
}

export const onnxRuntimeOptions = {
  onnxRuntime: v.custom<OnnxRuntimeModule>((value) => {
    const module = value as Partial<OnnxRuntimeModule> | null | undefined;
    return typeof module?.InferenceSession?.create === 'function' && typeof module.Tensor === 'function';
  }, 'the module onnxruntime-web'),
};

const batchSchema = v.object(
  { data: v.instance(Float32Array, 'a Float32Array'), shape: v.array(index, 'a list of sizes') },
  'a batch { data, shape }',
);

/** A batch of preprocessed images. */
export interface Batch {
  /** [n, c, h, w], row-major: `n · c · h · w` values. */
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

export interface FloatResult {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Values by name. */
export type FloatResults = ReadonlyMap<string, FloatResult>;

/** A graph loaded into ONNX Runtime's WebAssembly backend. */
export interface FloatSession {
  /** @throws {InputError} where the batch does not fit the graph's input, OctetError where ONNX Runtime fails */
  run(batch: Batch): Promise<FloatResults>;
  dispose(): Promise<void>;
}

/**
 * Loads `graph`, with the float values called `exposed` as outputs instead of its own.
 *
 * @throws {OctetError} where onnxruntime-web is not installed
 * @throws {ModelError} where it refuses the graph
 */
export async function openFloatSession(
  graph: Graph,
  exposed: readonly string[],
  runtime: OnnxRuntimeOptions = {},
): Promise<FloatSession> {
  check(
    'openFloatSession',
    { graph: graphSchema, exposed: texts, options: options(onnxRuntimeOptions) },
    { graph, exposed, options: runtime },
  );
  const ort = runtime.onnxRuntime ?? (await importOnnxRuntime());
  if (graph.inputs.length !== 1) {
    throw new ModelError(
      `calibration feeds one image input, but the model has ${graph.inputs.length}: ${graph.inputs.map(({ name }) => name).join(', ')}`,
    );
  }
  const input = graph.inputs[0];
  const outputs = exposed.map(
    (name): ValueInfo => graph.values.get(name) ?? { name, dtype: 'float32', shape: [] },
  );
  let session: OnnxRuntime.InferenceSession;
  try {
    session = await inTurn(() =>
      ort.InferenceSession.create(encodeModel({ ...graph, outputs }), {
        executionProviders: ['wasm'],
        // Only what goes wrong: the runtime's remarks on unused constants are of no use to the caller.
        logSeverityLevel: 3,
      }),
    );
  } catch (cause) {
    throw new ModelError(`ONNX Runtime cannot load the model: ${message(cause)}`, { cause });
  }
  const runSlice = async (data: Float32Array, shape: readonly number[]): Promise<FloatResults> => {
    try {
      const results = await inTurn(() =>
        session.run({ [input.name]: new ort.Tensor('float32', data, shape) }),
      );
      return new Map(
        Object.entries(results).map(([name, { data: values, dims }]) => [
          name,
          { data: values as Float32Array, shape: dims },
        ]),
      );
    } catch (cause) {
      throw new OctetError(
        `ONNX Runtime failed on a batch of shape [${shape.join(', ')}]: ${message(cause)}`,
        {
          cause,
        },
      );
    }
  };
  return {
    async run(batch) {
      check('run', { batch: batchSchema }, { batch });
      const { data, shape } = batch;
      checkBatch(data, shape, input);
      const [images, ...image] = shape;
      // A model exported with a fixed batch takes its images that many at a time.
      const size = typeof input.shape[0] === 'number' ? input.shape[0] : images;
      if (size === images) return runSlice(data, shape);
      const length = (data.length / images) * size;
      const slices: FloatResults[] = [];
      for (let from = 0; from < data.length; from += length) {
        slices.push(await runSlice(data.subarray(from, from + length), [size, ...image]));
      }
      return new Map(exposed.map((name) => [name, concatenate(slices.map((slice) => slice.get(name)!))]));
    },
    dispose: () => inTurn(() => session.release()),
  };
}

/** The last call in the queue: ONNX Runtime's WebAssembly module is one for all sessions, and its calls must not overlap. */
let lastCall: Promise<unknown> = Promise.resolve();

function inTurn<T>(call: () => Promise<T>): Promise<T> {
  const result = lastCall.then(call);
  lastCall = result.catch(() => undefined);
  return result;
}

/** Joins results along the first dimension. */
function concatenate(parts: readonly FloatResult[]): FloatResult {
  const data = new Float32Array(parts.reduce((length, part) => length + part.data.length, 0));
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  const [first, ...rest] = parts[0].shape;
  return { data, shape: [first * parts.length, ...rest] };
}

async function importOnnxRuntime(): Promise<OnnxRuntimeModule> {
  try {
    return await import('onnxruntime-web');
  } catch (cause) {
    throw new OctetError(
      'calibration and comparison run the float model with onnxruntime-web, which is not installed: npm install onnxruntime-web',
      { cause },
    );
  }
}

function checkBatch(data: Float32Array, shape: readonly number[], input: ValueInfo): void {
  const fits =
    shape.length === input.shape.length &&
    shape.every((size, axis) => {
      const expected = input.shape[axis];
      if (typeof expected === 'string') return true;
      return axis === 0 ? size % expected === 0 : size === expected;
    });
  const count = shape.reduce((product, size) => product * size, 1);
  if (!fits || count !== data.length || count === 0) {
    throw new InputError(
      `images have shape [${shape.join(', ')}] and ${data.length} values, but the model's input "${input.name}" is [${input.shape.join(', ')}]`,
    );
  }
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
