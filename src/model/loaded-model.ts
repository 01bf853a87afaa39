/** The `Model` behind `loadModel`: names and pictures outside, tensors of the integer program inside. */
import {
  asyncOptions,
  check,
  count,
  flag,
  integer,
  oneOf,
  options as optionsOf,
  texts,
} from '../arguments.ts';
import { InputError } from '../errors.ts';
import { inputShapeSchema, withInputShape } from '../graph/passes/input-shape.ts';
import { softmax as softmaxOperator } from '../graph/operators/softmax.ts';
import type { OperatorRegistry } from '../ops/registry.ts';
import { dequantizeTensor, logicalValues, outputQuantization, readOutput } from '../program/input.ts';
import { isHostTensor, paddedChannels } from '../program/program.ts';
import type {
  HostOperation,
  IntegerProgram,
  ProgramOutput,
  ProgramTensor,
  TensorBuffer,
  TensorId,
} from '../program/program.ts';
import { checkBatch, portTensors } from '../schedule/session-input.ts';
import { trafficBytes } from '../schedule/constants.ts';
import type { ExecutionPlan } from '../schedule/execution-plan.ts';
import { softmax, topK } from '../vision/ranking.ts';
import type { FixedInput, FixedModel, FixedOutput } from './fixed-sizes.ts';
import { hostNodes } from './host-nodes.ts';
import { imageOf, inputPort, readInput } from './inputs.ts';
import type { InputPort } from './inputs.ts';
import type {
  AdapterDescription,
  Classification,
  ClassifyOptions,
  CompareBackendsOptions,
  Comparison,
  GpuOutputTensor,
  HostNode,
  ModelPlan,
  OutputTensor,
  PictureSource,
  PlannedOperation,
  Prediction,
  Preprocessing,
  Profile,
  ProfiledOperation,
  ProfileOptions,
  RunInput,
  RunOptions,
  RunResult,
  SizeOptions,
  TensorValues,
  ValuesOptions,
} from './model.ts';
import type { BackendName, Session, SessionInput } from '../schedule/session.ts';

export interface LoadedParts {
  readonly program: IntegerProgram;
  readonly operators: OperatorRegistry;
  readonly session: Session;
  readonly backendReason: string;
  readonly labels: readonly string[];
  readonly preprocessing: Preprocessing | null;
}

interface ReadInputs {
  readonly batch: number;
  readonly sessionInputs: ReadonlyMap<TensorId, SessionInput>;
}

const sizes = { inputShape: inputShapeSchema };
/** Options of a model's methods. */
export const methodOptions = {
  plan: optionsOf(sizes),
  run: optionsOf({ ...sizes, signal: asyncOptions.signal, outputs: oneOf('cpu', 'gpu'), integers: flag }),
  classify: optionsOf({ ...sizes, signal: asyncOptions.signal, topK: count }),
  values: optionsOf({ ...sizes, signal: asyncOptions.signal, tensors: texts }),
  verify: optionsOf({ ...sizes, signal: asyncOptions.signal }),
  profile: optionsOf({ ...asyncOptions, ...sizes, batch: count, repetitions: integer(1, 10_000) }),
} as const;

export class LoadedModel implements FixedModel {
  readonly #parts: LoadedParts;
  readonly #ports: ReadonlyMap<string, InputPort>;
  readonly #names: ReadonlyMap<string, TensorId>;

  constructor(parts: LoadedParts) {
    this.#parts = parts;
    const { program, preprocessing } = parts;
    this.#ports = new Map(
      program.inputs.map((input) => [
        input.name,
        inputPort(input, program.tensors[input.tensor], preprocessing),
      ]),
    );
    // In the order in which they are computed.
    const order = [
      ...program.inputs.map(({ tensor }) => tensor),
      ...program.operations.map(({ output }) => output),
    ];
    this.#names = new Map(order.map((id) => [program.tensors[id].name, id]));
  }

  get name(): string {
    return this.program.name;
  }

  get inputs(): readonly FixedInput[] {
    return this.program.inputs.map(({ name, tensor: id, fileDtype: dtype }) => {
      const tensor = this.program.tensors[id];
      const [height, width, channels] = imageOf(tensor);
      const isReal = tensor.type === 'float32';
      return {
        name,
        shape: ['N', channels, height, width],
        height,
        width,
        channels,
        dtype,
        scale: isReal ? null : (tensor.scale as number),
        zeroPoint: isReal ? null : tensor.zeroPoint,
      };
    });
  }

  get outputs(): readonly FixedOutput[] {
    return this.program.outputs.map((output) => ({
      name: output.name,
      shape: ['N', ...output.shape],
      dtype: output.dtype,
      ...outputQuantization(output, this.program.tensors[output.tensor]),
      activation: endsInSoftmax(this.program, output) ? 'softmax' : 'none',
    }));
  }

  get labels(): readonly string[] {
    return this.#parts.labels;
  }

  get preprocessing(): Preprocessing | null {
    return this.#parts.preprocessing;
  }

  get backend(): BackendName {
    return this.#parts.session.backend;
  }

  get backendReason(): string {
    return this.#parts.backendReason;
  }

  get adapter(): AdapterDescription | null {
    return this.#parts.session.adapter;
  }

  get threads(): number | null {
    return this.#parts.session.threads;
  }

  get program(): IntegerProgram {
    return this.#parts.program;
  }

  get hostNodes(): readonly HostNode[] {
    return hostNodes(this.program, this.#parts.operators);
  }

  async plan(batch = 1, options: SizeOptions = {}): Promise<ModelPlan> {
    check('plan', { batch: count, options: methodOptions.plan }, { batch, options });
    this.#checkSizes(options);
    const { plan, constantBytes } = await this.#parts.session.plan(batch);
    // Calls of a CPU's kernels are no dispatches.
    const counts = this.backend === 'webgpu';
    return {
      backend: this.backend,
      batch,
      operations: this.#operations(batch, plan, counts),
      dispatches: counts
        ? plan.dispatches.length + plan.inputs.filter(({ quantizePixels }) => quantizePixels !== null).length
        : 0,
      memory: plan.memory,
      steps: plan.steps,
      constantBytes,
    };
  }

  run(
    inputs: Readonly<Record<string, RunInput>>,
    options?: RunOptions & { readonly outputs?: 'cpu' },
  ): Promise<RunResult>;
  run(
    inputs: Readonly<Record<string, RunInput>>,
    options: RunOptions & { readonly outputs: 'gpu' },
  ): Promise<RunResult<GpuOutputTensor>>;
  async run(
    inputs: Readonly<Record<string, RunInput>>,
    options: RunOptions = {},
  ): Promise<RunResult | RunResult<GpuOutputTensor>> {
    check('run', { options: methodOptions.run }, { options });
    this.#checkSizes(options);
    const start = performance.now();
    const { batch, sessionInputs } = this.#readInputs(inputs);
    if (options.outputs === 'gpu' && options.integers) {
      throw new InputError("integers are read on the CPU: leave them out where outputs is 'gpu'");
    }
    if (options.outputs === 'gpu') return this.#runOnGpu(sessionInputs, batch, options.signal, start);
    const { tensors, timings } = await this.#parts.session.run(sessionInputs, {
      batch,
      ...(options.signal && { signal: options.signal }),
    });
    const outputs = this.program.outputs.map((output): [string, OutputTensor] => {
      const tensor = this.program.tensors[output.tensor];
      const buffer = tensors.get(output.tensor)!;
      const values = readOutput(output, tensor, buffer, batch);
      const shape = [batch, ...output.shape];
      if (!options.integers) return [output.name, { ...values, shape }];
      return [output.name, { ...values, shape, integers: logicalValues(tensor, buffer, batch) }];
    });
    // Not assigned one by one: an output may be called `__proto__`.
    return {
      outputs: Object.fromEntries(outputs),
      timings: { ...timings, totalMs: performance.now() - start },
    };
  }

  async #runOnGpu(
    inputs: ReadonlyMap<TensorId, SessionInput>,
    batch: number,
    signal: AbortSignal | undefined,
    start: number,
  ): Promise<RunResult<GpuOutputTensor>> {
    const { session } = this.#parts;
    if (!session.runOnGpu) {
      throw new InputError(
        "outputs can stay on the GPU only on the webgpu backend and on your own device: pass backend: 'webgpu' and device to loadModel",
      );
    }
    const { buffers, timings } = await session.runOnGpu(inputs, { batch, ...(signal && { signal }) });
    const outputs = this.program.outputs.map(({ name, tensor: id }): [string, GpuOutputTensor] => {
      const tensor = this.program.tensors[id];
      const { type, scale, zeroPoint, image } = tensor;
      const [height, width, channels] = image;
      return [
        name,
        {
          buffer: buffers.get(id)!,
          dtype: type === 'accumulator' ? 'int32' : type,
          shape: [batch, height, width, isHostTensor(tensor) ? channels : paddedChannels(channels)],
          channels,
          scale,
          zeroPoint,
        },
      ];
    });
    return {
      outputs: Object.fromEntries(outputs),
      timings: { ...timings, totalMs: performance.now() - start },
    };
  }

  classify(picture: PictureSource, options?: ClassifyOptions): Promise<Classification>;
  classify(
    pictures: readonly PictureSource[],
    options?: ClassifyOptions,
  ): Promise<Classification<readonly (readonly Prediction[])[]>>;
  async classify(
    pictures: PictureSource | readonly PictureSource[],
    options: ClassifyOptions = {},
  ): Promise<Classification | Classification<readonly (readonly Prediction[])[]>> {
    check('classify', { options: methodOptions.classify }, { options });
    this.#checkSizes(options);
    const { topK: ranks = 5, signal } = options;
    const output = this.program.outputs[0];
    const classes = output.shape.reduce((product, size) => product * size, 1);
    const input = this.program.inputs[0];
    if (this.program.inputs.length > 1 || classes !== Math.max(...output.shape)) {
      throw new InputError(
        `"${this.name}" is no classifier of pictures: it takes ${this.program.inputs.length} inputs and gives [${output.shape.join(', ')}]; ` +
          'use run() instead',
      );
    }
    const start = performance.now();
    const { batch, sessionInputs } = this.#readInputs({ [input.name]: pictures });
    const run = await this.#parts.session.run(sessionInputs, { batch, ...(signal && { signal }) });
    // Real values, of an output that is declared as integers too.
    const tensor = this.program.tensors[output.tensor];
    const data = dequantizeTensor(tensor, run.tensors.get(output.tensor)!, batch);
    const predictions: Prediction[][] = [];
    const isProbability = endsInSoftmax(this.program, output);
    for (let image = 0; image < batch; image++) {
      const values = data.subarray(image * classes, (image + 1) * classes);
      predictions.push(topK(isProbability ? values : softmax(values), this.labels, ranks));
    }
    const timings = { ...run.timings, totalMs: performance.now() - start };
    return Array.isArray(pictures) ? { predictions, timings } : { predictions: predictions[0], timings };
  }

  async values(
    inputs: Readonly<Record<string, RunInput>>,
    options: ValuesOptions = {},
  ): Promise<ReadonlyMap<string, TensorValues>> {
    check('values', { options: methodOptions.values }, { options });
    this.#checkSizes(options);
    const { signal, tensors } = options;
    return this.#values(this.#parts.session, this.#readInputs(inputs), tensors, signal);
  }

  async verify(
    inputs: Readonly<Record<string, RunInput>>,
    options: CompareBackendsOptions = {},
  ): Promise<Comparison> {
    check('verify', { options: methodOptions.verify }, { options });
    this.#checkSizes(options);
    const { signal } = options;
    // Once: what the caller does to them meanwhile must not look like a difference.
    const read = this.#readInputs(inputs);
    const { compareTensors, createReferenceSession } = await verifyingModules();
    const actual = await this.#values(this.#parts.session, read, undefined, signal);
    using reference = createReferenceSession(this.program, this.#parts.operators);
    const expected = await this.#values(reference, read, undefined, signal);
    return compareTensors(
      { backend: this.backend, tensors: actual },
      { backend: reference.backend, tensors: expected },
    );
  }

  async #values(
    session: Session,
    { batch, sessionInputs }: ReadInputs,
    names: readonly string[] | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<string, TensorValues>> {
    const wanted = names?.map((name) => this.#tensorId(name)) ?? [...this.#names.values()];
    const { tensors } = await session.run(sessionInputs, {
      batch,
      tensors: wanted,
      ...(signal && { signal }),
    });
    return new Map(
      wanted.map((id) => {
        const tensor = this.program.tensors[id];
        const { name, image, scale, zeroPoint } = tensor;
        const data = withoutPadding(tensor, tensors.get(id)!);
        return [name, { name, shape: [batch, ...image], data, scale, zeroPoint }];
      }),
    );
  }

  async profile(options: ProfileOptions = {}): Promise<Profile> {
    check('profile', { options: methodOptions.profile }, { options });
    this.#checkSizes(options);
    const { batch = 1, repetitions = 10, ...rest } = options;
    checkBatch(batch, portTensors(this.program));
    const { method, samples, peak } = await this.#parts.session.profile(batch, repetitions, rest);
    const [{ operations }, { median }] = await Promise.all([this.plan(batch), import('simple-statistics')]);
    const profiled = operations.map((operation, index): ProfiledOperation => {
      const ms = median(samples[index]);
      const gmacsPerSecond = ms > 0 ? operation.macs / ms / 1e6 : 0;
      const best = operation.family && peak[operation.family];
      return {
        ...operation,
        ms,
        bytes: trafficBytes(this.program, this.program.operations[index], batch),
        gmacsPerSecond,
        shareOfPeak: best && operation.macs > 0 ? gmacsPerSecond / best : null,
      };
    });
    return {
      backend: this.backend,
      batch,
      repetitions,
      method,
      operations: profiled,
      totalMs: profiled.reduce((total, { ms }) => total + ms, 0),
      peak,
    };
  }

  dispose(): void {
    this.#parts.session.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The sizes are the model's, whatever it was loaded from: an option may only say the same. */
  #checkSizes({ inputShape }: SizeOptions): void {
    if (!inputShape) return;
    const inputs = this.program.inputs.map(({ name, tensor }) => ({
      name,
      dtype: 'float32' as const,
      shape: this.program.tensors[tensor].shape,
    }));
    withInputShape({ inputs }, inputShape);
  }

  #readInputs(inputs: Readonly<Record<string, RunInput>>): ReadInputs {
    if (typeof inputs !== 'object' || inputs === null) {
      throw new InputError(`inputs are given by name: { ${[...this.#ports.keys()].join(', ')} }`);
    }
    for (const name of Object.keys(inputs)) {
      if (!this.#ports.has(name)) {
        throw new InputError(`there is no input "${name}": the model has ${list([...this.#ports.keys()])}`);
      }
    }
    let batch: number | undefined;
    const sessionInputs = new Map<TensorId, SessionInput>();
    for (const [name, port] of this.#ports) {
      const value = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
      if (value === undefined) throw new InputError(`input "${name}" is missing`);
      const read = readInput(port, value);
      if (batch !== undefined && read.batch !== batch) {
        throw new InputError(`input "${name}" is a batch of ${read.batch}, the inputs before it of ${batch}`);
      }
      batch = read.batch;
      sessionInputs.set(port.input.tensor, read.input);
    }
    return { batch: batch ?? 1, sessionInputs };
  }

  #tensorId(name: string): TensorId {
    const id = this.#names.get(name);
    if (id === undefined) {
      throw new InputError(`there is no tensor "${name}": the model has ${list([...this.#names.keys()])}`);
    }
    return id;
  }

  #operations(
    batch: number,
    { operations, dispatches }: ExecutionPlan,
    countDispatches: boolean,
  ): PlannedOperation[] {
    const tensor = (id: TensorId) => this.program.tensors[id];
    const names = (ids: readonly TensorId[]) => ids.map((id) => tensor(id).name);
    const counts = operations.map(() => 0);
    if (countDispatches) for (const { operation } of dispatches) counts[operation]++;
    return operations.map(({ operation, variant }, index) => ({
      name: operation.name,
      kind: operation.kind,
      macs: batch * this.#parts.operators.of(operation).macs(operation, tensor),
      reads: names(operation.inputs),
      writes: names([operation.output]),
      variant: variant?.name ?? null,
      family: variant?.family ?? null,
      dispatches: counts[index],
    }));
  }
}

/** Most pages never verify. A function of its own: TypeScript rewrites no import in one that has `using`. */
async function verifyingModules() {
  const [{ compareTensors }, { createReferenceSession }] = await Promise.all([
    import('./compare.ts'),
    import('../reference/session.ts'),
  ]);
  return { compareTensors, createReferenceSession };
}

function withoutPadding(tensor: ProgramTensor, buffer: TensorBuffer): TensorBuffer {
  const channels = tensor.image[2];
  const stored = paddedChannels(channels);
  if (isHostTensor(tensor) || stored === channels) return buffer;
  const pixels = buffer.length / stored;
  const data =
    buffer instanceof Int8Array ? new Int8Array(pixels * channels) : new Int32Array(pixels * channels);
  for (let pixel = 0; pixel < pixels; pixel++) {
    data.set(buffer.subarray(pixel * stored, pixel * stored + channels), pixel * channels);
  }
  return data;
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

/** Whether an output is a softmax's, quantized or not. */
function endsInSoftmax({ operations }: IntegerProgram, { tensor }: ProgramOutput): boolean {
  const maker = (of: TensorId) => operations.find(({ output }) => output === of);
  let last = maker(tensor);
  while (last?.kind === 'quantize' || last?.kind === 'dequantize') last = maker(last.inputs[0]);
  return last?.kind === 'host' && softmaxOperator.is((last as HostOperation).node);
}
