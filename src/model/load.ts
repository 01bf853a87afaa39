/** `loadModel`: from a file to a network that is ready to run. */
import * as v from 'valibot';
import {
  asyncOptions,
  check,
  count,
  fn,
  flag,
  oneOf,
  options as optionsOf,
  text,
  texts,
} from '../arguments.ts';
import { DeviceError, InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { onnxOperator } from '../graph/operators/operator.ts';
import { inputShapeSchema } from '../graph/passes/input-shape.ts';
import type { Network } from '../onnx/decode.ts';
import { createOperatorRegistry } from '../ops/registry.ts';
import type { OperatorRegistry } from '../ops/registry.ts';
import { preprocessingSchema, readPreprocessing } from '../program/input.ts';
import { checkQuantized, lower } from '../program/lower.ts';
import type { FloatKernels } from '../program/host.ts';
import type { HostOperation, IntegerProgram } from '../program/program.ts';
import { checkActivationBytes } from '../schedule/memory.ts';
import type { FixedModel } from './fixed-sizes.ts';
import { readLabels } from './labels.ts';
import { LoadedModel } from './loaded-model.ts';
import type { LoadOptions, Model } from './model.ts';
import type { Backend, BackendName, Session } from '../schedule/session.ts';
import { adapterOnce, backendOptions, type FoundAdapter, preload } from './preload.ts';
import { readNetwork } from './source.ts';
import type { ModelSource } from './source.ts';

/**
 * Loads a quantized (QDQ) ONNX model and prepares it to run: an address (in Node also a file path), bytes, a Blob, or a graph that
 * `quantize` made. Of one whose file leaves sizes open, beside the batch, each run chooses them; `inputShape` fixes them.
 * @throws {InputError} the source cannot be read, or an option is wrong
 * @throws {ModelError} the file is damaged, not quantized, or has nodes that Octet cannot run: all of them are named
 * @throws {DeviceError} the backend that was asked for is not there; its message says what to do
 */
export async function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  const read = await readModel(source, options);
  return read.network.at ? openSizedByRun(read, options) : openFixed(read, options);
}

/**
 * Loads a model whose sizes are all fixed, by the file or by `inputShape`: for code that makes inputs from the model's shapes, or looks at its
 * program. Throws what `loadModel` throws.
 * @throws {ModelError} sizes are open, too: the message says how to fix them
 */
export async function loadFixedModel(source: ModelSource, options: LoadOptions = {}): Promise<FixedModel> {
  return openFixed(await readModel(source, options), options);
}

interface ReadModel {
  readonly network: Network;
  readonly operators: OperatorRegistry;
  /** With what computes convolutions and matrix products on the host. */
  readonly fast: (kernels?: FloatKernels) => OperatorRegistry;
  /** A graph of fixed sizes as a program, checked against what it may take. */
  readonly lowered: (graph: Graph) => IntegerProgram;
  readonly adapter: FoundAdapter;
}

async function readModel(source: ModelSource, options: LoadOptions): Promise<ReadModel> {
  checkOptions(options);
  const adapter = adapterOnce(options.powerPreference);
  if (typeof source === 'string' || source instanceof URL) void preload(options, adapter);
  const network = await readNetwork(source, {
    ...options,
    operators: (options.operators ?? []).flatMap(({ onnx }) => onnx),
  });
  const more = network.graph.operators?.size ? (await import('../ops/more-operators.ts')).moreOperators : [];
  const extra = [...more, ...(options.operators ?? [])];
  const operators = createOperatorRegistry(extra);
  const lowered = (graph: Graph): IntegerProgram => {
    const program = lower(graph, operators.operators, {
      fuse: options.fuse ?? true,
      host: options.hostStages ?? true,
    });
    checkActivationBytes(program, options.maxActivationBytes ?? DEFAULT_MAX_ACTIVATION_BYTES);
    return program;
  };
  const fast = (kernels?: FloatKernels) => createOperatorRegistry(extra, kernels);
  return { network, lowered, operators, fast, adapter };
}

async function openFixed(
  { network, lowered, operators, fast, adapter }: ReadModel,
  options: LoadOptions,
): Promise<FixedModel> {
  const program = lowered(network.graph);
  const { signal } = options;
  signal?.throwIfAborted();
  const registries = { plain: operators, fast: fast(await floatKernels(program)) };
  const { opened: session, reason } = await choose(sessions(program, registries, options), options, adapter);
  try {
    signal?.throwIfAborted();
    return new LoadedModel({
      program,
      operators,
      session,
      backendReason: reason,
      labels: options.labels ?? readLabels(program.metadata),
      preprocessing: options.preprocessing ?? readPreprocessing(program.metadata) ?? null,
    });
  } catch (error) {
    session.dispose();
    throw error;
  }
}

/** A model whose sizes each run chooses: what can be refused now is. */
async function openSizedByRun(
  { network, lowered, operators, fast, adapter }: ReadModel,
  options: LoadOptions,
): Promise<Model> {
  const { signal } = options;
  checkQuantized(network.graph);
  const [{ OpenModel }, { loadFloatKernels }] = await Promise.all([
    import('./open-model.ts'),
    import('../wasm/float-kernels.ts'),
  ]);
  const registries = { plain: operators, fast: fast(await loadFloatKernels()) };
  const { opened: backend, reason } = await choose(backends(registries, options), options, adapter);
  try {
    signal?.throwIfAborted();
    const { metadata } = network.graph;
    return new OpenModel({
      network,
      backend,
      lower: lowered,
      maxInputShapes: options.maxInputShapes ?? DEFAULT_MAX_INPUT_SHAPES,
      operators,
      backendReason: reason,
      labels: options.labels ?? readLabels(metadata),
      preprocessing: options.preprocessing ?? readPreprocessing(metadata) ?? null,
    });
  } catch (error) {
    backend.dispose();
    throw error;
  }
}

/** 512 MiB: four feature maps of 64 channels at 2048×1024 pixels. */
const DEFAULT_MAX_ACTIVATION_BYTES = 2 ** 29;
const DEFAULT_MAX_INPUT_SHAPES = 4;

const operator = v.object(
  {
    kind: text,
    onnx: v.array(onnxOperator, 'an array of OnnxOperators'),
    lower: fn,
    reference: fn,
    macs: fn,
    stage: v.optional(oneOf('device', 'host')),
    webgpu: v.optional(v.object({ variants: fn }, 'a GpuKernel')),
    wasm: v.optional(v.object({ variants: fn }, 'a WasmKernel')),
  },
  'an Operator',
);

const loadOptions = optionsOf({
  ...asyncOptions,
  ...backendOptions,
  tune: oneOf('off', 'quick', 'full'),
  batches: v.array(count, 'an array of positive integers'),
  workerUrl: v.union([text, v.instance(URL)], 'an address: a string or a URL'),
  preprocessing: preprocessingSchema,
  labels: texts,
  operators: v.array(operator, 'an array of Operators'),
  fuse: flag,
  hostStages: flag,
  maxActivationBytes: v.pipe(
    v.number(),
    v.check((value) => value > 0, 'a number above 0'),
  ),
  inputShape: inputShapeSchema,
  maxInputShapes: count,
  externalData: v.map(text, v.instance(Uint8Array, 'a Uint8Array'), 'a Map of Uint8Arrays'),
});

function checkOptions(options: LoadOptions): void {
  check('loadModel', { options: loadOptions }, { options });
  const { backend = 'auto', device } = options;
  if (device && backend !== 'auto' && backend !== 'webgpu') {
    throw new InputError(`a device is for the webgpu backend, and backend is '${backend}'`);
  }
}

interface Opened<T> {
  readonly opened: T;
  readonly reason: string;
}

/** How each backend is opened. */
type Openers<T> = Readonly<Record<BackendName, () => Promise<T>>>;

/** What computes convolutions and matrix products on the host, where there are any. */
async function floatKernels({ operations }: IntegerProgram): Promise<FloatKernels | undefined> {
  if (!operations.some((each) => each.kind === 'host' && 'macs' in (each as HostOperation).row))
    return undefined;
  const { loadFloatKernels } = await import('../wasm/float-kernels.ts');
  return loadFloatKernels();
}

/**
 * The module of a backend: a page loads only those that it tries.
 * @throws {DeviceError} it cannot be loaded
 */
async function backendModule<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DeviceError(`its module cannot be loaded: ${reason}`, { cause });
  }
}

/** `plain` for the reference, which the others are held to. */
type Operators = Readonly<Record<'plain' | 'fast', OperatorRegistry>>;

/** A session of one program, prepared. */
function sessions(
  program: IntegerProgram,
  { plain, fast }: Operators,
  options: LoadOptions,
): Openers<Session> {
  return {
    webgpu: async () => {
      const { createWebgpuSession } = await backendModule(() => import('../webgpu/backend.ts'));
      return createWebgpuSession(program, fast, options);
    },
    wasm: async () => {
      const { createWasmSession } = await backendModule(() => import('../wasm/backend.ts'));
      return createWasmSession(program, {
        ...wasmOptions(fast, options),
        ...(options.batches && { batches: options.batches }),
      });
    },
    reference: async () => {
      const { createReferenceSession } = await backendModule(() => import('../reference/session.ts'));
      return createReferenceSession(program, plain);
    },
  };
}

/** A backend for programs that are yet to come. */
function backends({ plain, fast }: Operators, options: LoadOptions): Openers<Backend> {
  return {
    webgpu: async () => {
      const { openWebgpuBackend } = await backendModule(() => import('../webgpu/backend.ts'));
      return openWebgpuBackend(fast, options);
    },
    wasm: async () => {
      const { openWasmBackend } = await backendModule(() => import('../wasm/backend.ts'));
      return openWasmBackend(wasmOptions(fast, options));
    },
    reference: async () => {
      const { createReferenceBackend } = await backendModule(() => import('../reference/session.ts'));
      return createReferenceBackend(plain);
    },
  };
}

function wasmOptions(operators: OperatorRegistry, { threads, workerUrl, signal }: LoadOptions) {
  return {
    operators,
    ...(threads !== undefined && { threads }),
    ...(workerUrl && { workerUrl }),
    ...(signal && { signal }),
  };
}

/** Opens the backend that was asked for, or the best that there is. */
async function choose<T>(
  open: Openers<T>,
  { backend = 'auto', device }: LoadOptions,
  adapter: FoundAdapter,
): Promise<Opened<T>> {
  if (backend !== 'auto') return { opened: await open[backend](), reason: 'it was asked for' };
  if (device) return { opened: await open.webgpu(), reason: 'a GPU device was given' };

  // What stood in the way of better ones, for the reason.
  const obstacles: string[] = [];
  const attempt = async (name: BackendName): Promise<T | undefined> => {
    try {
      return await open[name]();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      obstacles.push(`${name} cannot run it (${error.message})`);
      return undefined;
    }
  };
  const because = (why: string) => [...obstacles, why].join('; ');

  const { isSoftware, obstacle } = await adapter();
  if (obstacle !== undefined) obstacles.push(obstacle);
  if (isSoftware === false) {
    const opened = await attempt('webgpu');
    if (opened) return { opened, reason: because('there is a hardware GPU') };
  }
  const wasm = await attempt('wasm');
  if (wasm) return { opened: wasm, reason: because('WebAssembly is the fastest without a hardware GPU') };
  if (isSoftware) {
    const opened = await attempt('webgpu');
    if (opened) return { opened, reason: because('a software GPU adapter is better than plain loops') };
  }
  const reason = because('only the reference is left: expect it to be slow');
  warnOnce(`Octet: ${reason}`);
  return { opened: await open.reference(), reason };
}

let warned = false;

/** A page that fell to the reference works, some forty times slower: nobody should have to find out with a profiler. */
function warnOnce(message: string): void {
  if (warned) return;
  warned = true;
  console.warn(message);
}
