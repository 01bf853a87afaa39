/**
 * Float inference with ONNX Runtime. Octet computes integers; where it needs a float model's values (calibration, comparison), the
 * optional peer dependency `onnxruntime-web` runs it.
 */
import { importOnnxRuntime } from '#onnxruntime';
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

export const batchSchema = v.object(
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

/** A graph loaded into ONNX Runtime's WebAssembly backend, its inputs fed by name. */
export interface GraphSession {
  /** @throws OctetError where ONNX Runtime fails */
  run(inputs: FloatResults): Promise<FloatResults>;
  dispose(): Promise<void>;
}

/**
 * Loads `graph`, with the values called `exposed` as outputs instead of its own.
 *
 * @param runtime `optimize` false: each node is run as the file has it. Default true.
 * @throws {OctetError} where onnxruntime-web is not installed
 * @throws {ModelError} where it refuses the graph
 */
export async function openGraphSession(
  graph: Graph,
  exposed: readonly string[],
  runtime: OnnxRuntimeOptions & { readonly optimize?: boolean } = {},
): Promise<GraphSession> {
  const ort = runtime.onnxRuntime ?? (await loadOnnxRuntime());
  const declared = new Map(graph.outputs.map((output) => [output.name, output]));
  const outputs = exposed.map(
    (name): ValueInfo =>
      declared.get(name) ?? graph.values.get(name) ?? { name, dtype: 'float32', shape: [] },
  );
  let session: OnnxRuntime.InferenceSession;
  try {
    session = await inTurn(() =>
      ort.InferenceSession.create(encodeModel({ ...graph, outputs }), {
        executionProviders: ['wasm'],
        ...(runtime.optimize === false && { graphOptimizationLevel: 'disabled' as const }),
        // Only what goes wrong: the runtime's remarks on unused constants are of no use to the caller.
        logSeverityLevel: 3,
      }),
    );
  } catch (cause) {
    throw new ModelError(`ONNX Runtime cannot load the model: ${message(cause)}`, { cause });
  }
  return {
    async run(inputs) {
      try {
        const feeds = Object.fromEntries(
          [...inputs].map(([name, { data, shape }]) => [name, new ort.Tensor('float32', data, shape)]),
        );
        const results = await inTurn(() => session.run(feeds));
        return new Map(
          Object.entries(results).map(([name, { data, dims }]) => [
            name,
            { data: data as Float32Array, shape: dims },
          ]),
        );
      } catch (cause) {
        const shapes = [...inputs.values()].map(({ shape }) => `[${shape.join(', ')}]`).join(', ');
        throw new OctetError(`ONNX Runtime failed on a batch of shape ${shapes}: ${message(cause)}`, {
          cause,
        });
      }
    },
    dispose: () => inTurn(() => session.release()),
  };
}

/**
 * Loads `graph`, which has one input, with the float values called `exposed` as outputs instead of its own.
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
  if (graph.inputs.length !== 1) {
    throw new ModelError(
      `calibration feeds one image input, but the model has ${graph.inputs.length}: ${graph.inputs.map(({ name }) => name).join(', ')}`,
    );
  }
  const input = graph.inputs[0];
  const session = await openGraphSession(graph, exposed, runtime);
  return {
    async run(batch) {
      check('run', { batch: batchSchema }, { batch });
      checkBatch(batch.data, batch.shape, input);
      const images = batch.shape[0];
      // A model exported with a fixed batch takes its images that many at a time.
      const size = typeof input.shape[0] === 'number' ? input.shape[0] : images;
      const slices: FloatResults[] = [];
      for (let from = 0; from < images; from += size) {
        slices.push(await session.run(new Map([[input.name, imagesOf(batch, from, from + size)]])));
      }
      if (slices.length === 1) return slices[0];
      return new Map(exposed.map((name) => [name, concatenate(slices.map((part) => part.get(name)!))]));
    },
    dispose: () => session.dispose(),
  };
}

/** Images `from` to `to` of a batch. */
function imagesOf({ data, shape: [images, ...image] }: Batch, from: number, to: number): FloatResult {
  const length = data.length / images;
  return { data: data.subarray(from * length, to * length), shape: [to - from, ...image] };
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

async function loadOnnxRuntime(): Promise<OnnxRuntimeModule> {
  try {
    return await importOnnxRuntime();
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
