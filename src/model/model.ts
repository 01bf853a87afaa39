/** What `loadModel` gives: a network that is ready to run, whatever runs it. */
import type { Operator } from '../ops/operator.ts';
import type { IntegerProgram, ProgramInput, TensorBuffer } from '../program/program.ts';
import type { InputShape } from '../graph/passes/input-shape.ts';
import type { MemoryPlan, Step } from '../schedule/plan.ts';
import type { ArithmeticFamily } from '../ops/gpu-kernel.ts';
import type { AsyncOptions } from '../progress.ts';
import type { RankedClass } from '../vision/ranking.ts';
import type { OutputValues, Preprocessing } from '../program/input.ts';
import type { HostNode } from './host-nodes.ts';
import type { PixelsInput, RunInput, TensorInput } from './inputs.ts';
import type { PictureSource } from './pictures.ts';
import type { AdapterDescription, BackendName, RunTimings } from '../schedule/session.ts';
import type { ModelSource } from './source.ts';

export type { InputShape, Preprocessing };

export interface LoadOptions extends AsyncOptions {
  /**
   * What runs the model. `auto` (the default) takes a hardware WebGPU adapter, then WebAssembly, then a software WebGPU
   * adapter, then the reference; `Model.backendReason` says why.
   */
  readonly backend?: 'auto' | BackendName;
  /** Your own device for the webgpu backend. Octet never destroys it. */
  readonly device?: GPUDevice;
  readonly powerPreference?: GPUPowerPreference;
  /**
   * Whether to time kernel variants on the device at hand: not at all (the adapter class's defaults), a few of each shape, or
   * all but those of arithmetic that the device is slow at. Winners are remembered, so that only a first load takes the time. Default `off`.
   */
  readonly tune?: 'off' | 'quick' | 'full';
  /** Batch sizes to plan (and tune) at load. Others are planned on their first run. Default `[1]`. */
  readonly batches?: readonly number[];
  /**
   * Bytes that the activations of one image may take at once: a small file can ask for any size. Default 512 MiB.
   * `Infinity` for a file that you trust.
   */
  readonly maxActivationBytes?: number;
  /** Threads of the wasm backend. Default: the machine's cores, at most 8, where shared memory is allowed, else 1. */
  readonly threads?: number;
  /**
   * Address of the script of the wasm backend's threads, which the package has as `octetjs/worker`. Only for pages whose Content Security
   * Policy does not allow `worker-src blob:`; without it such a page has one thread.
   */
  readonly workerUrl?: string | URL;
  /** Overrides what the file's metadata says. */
  readonly preprocessing?: Preprocessing;
  /** Class names, in the order of the output. Overrides what the file's metadata says. */
  readonly labels?: readonly string[];
  /** Operators beside the built-in ones; one with a built-in's ONNX type takes its place. */
  readonly operators?: readonly Operator[];
  /** Whether lowering fuses pools and residual additions into convolutions. Default true; false keeps every tensor visible. */
  readonly fuse?: boolean;
  /**
   * Whether nodes that no operation runs in integers are computed on the CPU, in real numbers that are the same on every device and
   * engine, between the integers around them (`host` operations of the plan, each with its reason). Default true; false refuses such models.
   */
  readonly hostStages?: boolean;
  /** Sizes of dimensions that the file leaves open: the model then is one of fixed sizes. Those that are left out are open to each run. */
  readonly inputShape?: InputShape;
  /**
   * Input shapes that a model with open sizes stays prepared for: the least recently used one goes. Each takes its plans, its tables, and on webgpu
   * buffers for its activations; packed weights, compiled kernels and threads are shared, as is the memory of activations on wasm, which is
   * as large as the largest shape needed. Default 4.
   */
  readonly maxInputShapes?: number;
  /** External data files by the location that the model names. Default: they are looked for beside an address or path. */
  readonly externalData?: ReadonlyMap<string, Uint8Array>;
}

export type { ModelSource };

export interface ModelInput {
  readonly name: string;
  /** ONNX shape; the first dimension is the batch. Names are sizes that each run chooses. */
  readonly shape: readonly [batch: 'N', ...dimensions: (number | string)[]];
  /** Null where each run chooses it. */
  readonly height: number | null;
  readonly width: number | null;
  readonly channels: number | null;
  /** As the file declares it. */
  readonly dtype: ProgramInput['fileDtype'];
  /** `real = scale · (q − zeroPoint)`; null of an input that a host stage reads in real numbers. */
  readonly scale: number | null;
  readonly zeroPoint: number | null;
}

export interface ModelOutput {
  readonly name: string;
  /** Names are sizes that come of those that a run chooses. */
  readonly shape: readonly [batch: 'N', ...dimensions: (number | string)[]];
  /** As the file declares it. */
  readonly dtype: OutputValues['dtype'];
  /** `real = scale · (q − zeroPoint)` of an output that is declared as integers; null of one that is float32. */
  readonly scale: number | null;
  readonly zeroPoint: number | null;
  readonly activation: 'none' | 'softmax';
}

export type { PictureSource };

export type { PixelsInput, RunInput, TensorInput };

/** For models with sizes that the file and `loadModel` left open. */
export interface SizeOptions {
  /** Sizes for this call. Needed where inputs do not say theirs: arrays without a shape, pixels, and the pictures of `classify`. */
  readonly inputShape?: InputShape;
}

export interface RunOptions extends SizeOptions {
  /** Aborts the call: its promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** `gpu` leaves the outputs in GPU buffers (webgpu backend with your own device). Default `cpu`. */
  readonly outputs?: 'cpu' | 'gpu';
  /** Whether to return the integers behind the outputs, too (`OutputTensor.integers`). Default false. */
  readonly integers?: boolean;
}

/** Values of the type that the file declares, row-major in `shape` (ONNX layout). */
export type OutputTensor = OutputValues & {
  readonly shape: readonly number[];
  /**
   * Where `RunOptions.integers` asked for them: what the network computed before it was dequantized and before a final softmax,
   * row-major in `shape`. int8, or int32 where the last layer is not requantized; float32 of an output that a host stage computes.
   */
  readonly integers?: TensorBuffer;
};

/** An output that was left on the GPU: `real = scale · (q − zeroPoint)`. */
export interface GpuOutputTensor {
  /** Yours: `destroy()` it when done. */
  readonly buffer: GPUBuffer;
  readonly dtype: 'int8' | 'int32' | 'float32';
  /** [batch, height, width, channels padded to a multiple of 4]; of float32, [batch, 1, 1, values of one image], row-major. */
  readonly shape: readonly [number, number, number, number];
  readonly channels: number;
  readonly scale: number | Float32Array;
  readonly zeroPoint: number;
}

export interface Timings extends RunTimings {
  /** From the call to its result, preprocessing included. */
  readonly totalMs: number;
}

export interface RunResult<T = OutputTensor> {
  readonly outputs: Readonly<Record<string, T>>;
  readonly timings: Timings;
}

export interface ClassifyOptions extends SizeOptions {
  readonly signal?: AbortSignal;
  /** How many classes to report, most probable first. Default 5. */
  readonly topK?: number;
}

export type Prediction = RankedClass;

export interface Classification<T = readonly Prediction[]> {
  readonly predictions: T;
  readonly timings: Timings;
}

/** A tensor inside the network, after a run. */
export interface TensorValues {
  readonly name: string;
  /** NHWC with real channels, no padding. */
  readonly shape: readonly [batch: number, height: number, width: number, channels: number];
  /** The integers, row-major in `shape`. */
  readonly data: TensorBuffer;
  readonly scale: number | Float32Array;
  readonly zeroPoint: number;
}

/** One operation of a plan. */
export interface PlannedOperation {
  readonly name: string;
  readonly kind: string;
  /** Multiply-adds for the whole batch. */
  readonly macs: number;
  /** Names of the tensors read and written. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** The chosen kernel; null on backends without variants. */
  readonly variant: string | null;
  readonly family: ArithmeticFamily | null;
  readonly dispatches: number;
}

/** What a run at one batch size does: plain data. */
export interface ModelPlan {
  readonly backend: BackendName;
  readonly batch: number;
  readonly operations: readonly PlannedOperation[];
  /** GPU dispatches of a run from pixels, input quantization included; 0 on backends without a GPU. */
  readonly dispatches: number;
  readonly memory: MemoryPlan;
  /** The steps that `memory` counts in `firstStep` and `lastStep`. */
  readonly steps: readonly Step[];
  /** Bytes of prepacked weights and tables. */
  readonly constantBytes: number;
}

export interface ProfileOptions extends AsyncOptions, SizeOptions {
  /** Default 1. */
  readonly batch?: number;
  /** 1 to 10,000. Default 10. */
  readonly repetitions?: number;
}

export interface ProfiledOperation extends PlannedOperation {
  /** Median time in milliseconds for the whole batch. */
  readonly ms: number;
  /** Bytes read and written: activations, weights and tables, each once. */
  readonly bytes: number;
  /** 10⁹ multiply-adds a second. */
  readonly gmacsPerSecond: number;
  /** Of the device's measured peak of the operation's arithmetic family, 0 to 1; null where there is none. */
  readonly shareOfPeak: number | null;
}

export interface Profile {
  readonly backend: BackendName;
  readonly batch: number;
  readonly repetitions: number;
  /** How times were taken: GPU timestamps, or the clock around many repetitions. */
  readonly method: 'timestamp-query' | 'repetition' | 'clock';
  readonly operations: readonly ProfiledOperation[];
  /** Sum over operations, in milliseconds. */
  readonly totalMs: number;
  /** Measured peak of each arithmetic family in GMAC/s, registers only. */
  readonly peak: Readonly<Partial<Record<ArithmeticFamily, number>>>;
}

/** One tensor on two backends. */
export interface TensorComparison {
  readonly name: string;
  /** NHWC, real channels. */
  readonly shape: readonly [batch: number, height: number, width: number, channels: number];
  readonly elements: number;
  /** How many elements are not the same. */
  readonly differing: number;
  /** Largest |actual − expected|. */
  readonly largestDifference: number;
  readonly firstDifference: {
    /** (n, h, w, c) */
    readonly index: readonly [number, number, number, number];
    readonly actual: number;
    readonly expected: number;
  } | null;
}

/** Two backends on one input, tensor by tensor, with `===`. */
export interface Comparison {
  readonly equal: boolean;
  readonly actual: BackendName;
  readonly expected: BackendName;
  /** In the order in which the network computes them. */
  readonly tensors: readonly TensorComparison[];
  /** Where the backends part: everything before it is equal. */
  readonly firstDiffering: TensorComparison | null;
  /** The same for people: one line where all is equal, else the first difference with its neighbours. */
  readonly report: string;
}

export interface ValuesOptions extends SizeOptions {
  readonly signal?: AbortSignal;
  /** Names of the tensors to give. Default: all. */
  readonly tensors?: readonly string[];
}

export interface CompareBackendsOptions extends SizeOptions {
  readonly signal?: AbortSignal;
}

export type { AdapterDescription, HostNode };

/** A network that is ready to run. Calls may overlap. */
export interface Model {
  readonly name: string;
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly ModelOutput[];
  /** Class names, empty where the model names none. */
  readonly labels: readonly string[];
  readonly preprocessing: Preprocessing | null;
  readonly backend: BackendName;
  /** Why this backend, in a sentence for people. */
  readonly backendReason: string;
  /** null on backends without an adapter. */
  readonly adapter: AdapterDescription | null;
  /** Threads that runs are spread over; null on backends other than wasm. */
  readonly threads: number | null;
  /** Null of a model with open sizes: each has one of its own. */
  readonly program: IntegerProgram | null;
  /**
   * Nodes that are computed in float32 on the CPU, whatever the backend: why, and their share of the multiply-adds. Null of a model with
   * open sizes.
   */
  readonly hostNodes: readonly HostNode[] | null;

  /** What a run at `batch` images does, and where its tensors lie. */
  plan(batch?: number, options?: SizeOptions): Promise<ModelPlan>;

  /**
   * Runs the network on named inputs. They are read before it returns, but for GPU buffers: arrays may be written over at once.
   *
   * A model with open sizes runs at those of `inputShape`, of tensors and pixels that say theirs, and of pictures. The first run at new ones
   * prepares the network for them.
   * @throws {InputError} wrong name, type, shape, length or range of an input, or sizes that nobody says
   * @throws {ModelError} the network cannot be computed at these sizes: the nodes, and why. Others still can
   * @throws {DeviceError} the device is lost (the next run opens a new one, unless it was yours) or out of memory
   */
  run(
    inputs: Readonly<Record<string, RunInput>>,
    options?: RunOptions & { readonly outputs?: 'cpu' },
  ): Promise<RunResult>;
  run(
    inputs: Readonly<Record<string, RunInput>>,
    options: RunOptions & { readonly outputs: 'gpu' },
  ): Promise<RunResult<GpuOutputTensor>>;

  /** Most probable classes of a picture (or of each of several, run as one batch). Softmax and ranking are in float64. */
  classify(picture: PictureSource, options?: ClassifyOptions): Promise<Classification>;
  classify(
    pictures: readonly PictureSource[],
    options?: ClassifyOptions,
  ): Promise<Classification<readonly (readonly Prediction[])[]>>;

  /** Runs the network and returns tensors inside it, by name; all of them where no names are given. */
  values(
    inputs: Readonly<Record<string, RunInput>>,
    options?: ValuesOptions,
  ): Promise<ReadonlyMap<string, TensorValues>>;

  /** Runs the network here and on the reference, and compares every tensor with `===`. */
  verify(inputs: Readonly<Record<string, RunInput>>, options?: CompareBackendsOptions): Promise<Comparison>;

  /** Time, work and traffic of each operation, and its share of what the device can do. */
  profile(options?: ProfileOptions): Promise<Profile>;

  /** Frees everything. Idempotent. Runs in flight reject with a DeviceError. */
  dispose(): void;
  [Symbol.dispose](): void;
}
