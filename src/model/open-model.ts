/** The `Model` of a network whose file leaves sizes open: one model of fixed sizes for each input shape that it is run at, made on the first. */
import { check, count } from '../arguments.ts';
import { DeviceError, InputError, ModelError } from '../errors.ts';
import { indexGraph } from '../graph/graph-index.ts';
import type { Dimension, Graph, Node } from '../graph/graph.ts';
import { dequantizeLinear } from '../graph/operators/dequantize-linear.ts';
import { keepsValues } from '../graph/operators/operator.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import { roleOf } from '../graph/operators/registry.ts';
import { softmax } from '../graph/operators/softmax.ts';
import { type InputShape, inputShapeOf, openSizes, withInputShape } from '../graph/passes/input-shape.ts';
import type { Network } from '../onnx/decode.ts';
import { Demands } from '../program/demands.ts';
import { activationParameters, type QuantizationParameters } from '../program/parameters.ts';
import type { IntegerProgram } from '../program/program.ts';
import { reuseWeights } from '../program/reuse-weights.ts';
import { BoundedCache } from '../schedule/bounded-cache.ts';
import type { AdapterDescription, Backend, BackendName } from '../schedule/session.ts';
import { isList, isTensorInput } from './inputs.ts';
import { LoadedModel, methodOptions } from './loaded-model.ts';
import type { LoadedParts } from './loaded-model.ts';
import { pictureSize } from './pictures.ts';
import type {
  Classification,
  ClassifyOptions,
  CompareBackendsOptions,
  Comparison,
  GpuOutputTensor,
  Model,
  ModelInput,
  ModelOutput,
  ModelPlan,
  PictureSource,
  Prediction,
  Preprocessing,
  Profile,
  ProfileOptions,
  RunInput,
  RunOptions,
  RunResult,
  SizeOptions,
  TensorValues,
  ValuesOptions,
} from './model.ts';

export interface OpenParts extends Omit<LoadedParts, 'program' | 'session'> {
  /** `at` is there. */
  readonly network: Network;
  readonly backend: Backend;
  /** A graph of fixed sizes as a program, checked against what it may take. */
  readonly lower: (graph: Graph) => IntegerProgram;
  /** Input shapes that stay prepared. */
  readonly maxInputShapes: number;
}

type RunInputs = Readonly<Record<string, RunInput>>;

export class OpenModel implements Model {
  readonly program = null;
  readonly hostNodes = null;
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly ModelOutput[];
  readonly #parts: OpenParts;
  /** By the sizes. */
  readonly #models: BoundedCache<LoadedModel>;
  /** Programs have weights in common with the one before them. */
  #latest: IntegerProgram | undefined;
  #disposed = false;

  constructor(parts: OpenParts) {
    this.#parts = parts;
    this.#models = new BoundedCache(parts.maxInputShapes);
    const { inputs, outputs } = describePorts(parts.network.graph);
    this.inputs = inputs;
    this.outputs = outputs;
  }

  get name(): string {
    return this.#parts.network.graph.name;
  }

  get labels(): readonly string[] {
    return this.#parts.labels;
  }

  get preprocessing(): Preprocessing | null {
    return this.#parts.preprocessing;
  }

  get backend(): BackendName {
    return this.#parts.backend.name;
  }

  get backendReason(): string {
    return this.#parts.backendReason;
  }

  get adapter(): AdapterDescription | null {
    return this.#parts.backend.adapter;
  }

  get threads(): number | null {
    return this.#parts.backend.threads;
  }

  async plan(batch = 1, options: SizeOptions = {}): Promise<ModelPlan> {
    check('plan', { batch: count, options: methodOptions.plan }, { batch, options });
    return this.at({}, options, (model) => model.plan(batch));
  }

  run(inputs: RunInputs, options?: RunOptions & { readonly outputs?: 'cpu' }): Promise<RunResult>;
  run(
    inputs: RunInputs,
    options: RunOptions & { readonly outputs: 'gpu' },
  ): Promise<RunResult<GpuOutputTensor>>;
  async run(inputs: RunInputs, options: RunOptions = {}): Promise<RunResult | RunResult<GpuOutputTensor>> {
    check('run', { options: methodOptions.run }, { options });
    return this.at(inputs, options, (model, rest) =>
      model.run(inputs, rest as RunOptions & { outputs?: 'cpu' }),
    );
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
    // Not at the pictures' own sizes: a classifier is trained for one, and its answers at others are poor.
    return this.at({}, options, (model, rest) => model.classify(pictures as PictureSource, rest));
  }

  async values(inputs: RunInputs, options: ValuesOptions = {}): Promise<ReadonlyMap<string, TensorValues>> {
    check('values', { options: methodOptions.values }, { options });
    return this.at(inputs, options, (model, rest) => model.values(inputs, rest));
  }

  async verify(inputs: RunInputs, options: CompareBackendsOptions = {}): Promise<Comparison> {
    check('verify', { options: methodOptions.verify }, { options });
    return this.at(inputs, options, (model, rest) => model.verify(inputs, rest));
  }

  async profile(options: ProfileOptions = {}): Promise<Profile> {
    check('profile', { options: methodOptions.profile }, { options });
    return this.at({}, options, (model, rest) => model.profile(rest));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#models.dispose();
    this.#parts.backend.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Calls `use`, at once, with the model of the sizes that the options and inputs say.
   * @throws {InputError} they leave sizes open
   * @throws {ModelError} the network cannot be computed at these sizes
   */
  async at<O extends SizeOptions, R>(
    inputs: RunInputs,
    { inputShape = {}, ...rest }: O,
    use: (model: LoadedModel, options: Omit<O, 'inputShape'>) => Promise<R>,
  ): Promise<R> {
    if (this.#disposed) throw new DeviceError('the model was disposed of: load it again to run it');
    const sizes = this.#sizes(inputs, inputShape);
    const key = JSON.stringify(Object.entries(sizes));
    return this.#models.with(
      key,
      () => this.#make(sizes),
      (model) => use(model, rest),
    );
  }

  /** Sizes of all dimensions that the network leaves open. */
  #sizes(inputs: RunInputs, inputShape: InputShape): Record<string, number> {
    const { graph } = this.#parts.network;
    const asked = withInputShape(graph, inputShape);
    const given = typeof inputs === 'object' && inputs !== null ? inputs : {};
    const own = asked.inputs.flatMap(({ name, shape }): [string, readonly number[]][] => {
      const value = Object.hasOwn(given, name) ? given[name] : undefined;
      // What is said of fixed sizes is checked where the input is read.
      const isOpen = shape.slice(1).some((size) => typeof size === 'string');
      const said = value !== undefined && isOpen ? ownShape(name, shape, value) : undefined;
      return said ? [[name, said]] : [];
    });
    const sized = withInputShape(asked, Object.fromEntries(own), 'tensors');
    const missing = openSizes(sized.inputs);
    if (missing.length > 0) {
      const open = sized.inputs.filter(({ shape }) => shape.some((size) => missing.includes(size as string)));
      const shapes = open.map(({ name, shape }) => `"${name}" [${shape.join(', ')}]`);
      throw new InputError(
        `nobody says the sizes of ${shapes.join(' and ')}, which the model leaves open: give values as { data, shape }, or ${inputShapeOf(missing)} in the options of this call or of loadModel`,
      );
    }
    return Object.fromEntries(
      openSizes(graph.inputs).map((name) => {
        const input = graph.inputs.findIndex(({ shape }) => shape.includes(name));
        return [name, sized.inputs[input].shape[graph.inputs[input].shape.indexOf(name)] as number];
      }),
    );
  }

  #make(sizes: InputShape): LoadedModel {
    const { network, backend, lower, operators, backendReason, labels, preprocessing } = this.#parts;
    let lowered: IntegerProgram;
    try {
      lowered = lower(network.at!(sizes));
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      const where = Object.entries(sizes).map(([name, size]) => `${name} = ${size}`);
      const problems = error.problems.map((problem) => ({
        ...problem,
        reason: `${problem.reason} (at ${where.join(', ')})`,
      }));
      throw new ModelError(problems, { cause: error });
    }
    const program = this.#latest ? reuseWeights(lowered, this.#latest) : lowered;
    this.#latest = program;
    return new LoadedModel({
      program,
      operators,
      session: backend.session(program),
      backendReason,
      labels,
      preprocessing,
    });
  }
}

/**
 * The shape that an input says itself, for one whose sizes the model leaves open: a tensor's, or that of pixels or pictures where the model's
 * is one of images [N, C, H, W].
 *
 * @param shape the model's
 * @throws {InputError} pictures of several sizes
 */
function ownShape(name: string, shape: readonly Dimension[], value: RunInput): readonly number[] | undefined {
  if (isTensorInput(value)) {
    const { shape: own } = value;
    if (own.every((size) => Number.isSafeInteger(size) && size > 0)) return own;
    throw new InputError(
      `the shape of input "${name}" must be a list of positive integers, not [${own.join(', ')}]`,
    );
  }
  const [, channels, height, width] = shape;
  if (shape.length !== 4 || typeof channels !== 'number') return undefined;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined;
  if ('pixels' in value) {
    const { height: h, width: w } = value;
    return h === undefined || w === undefined ? undefined : [1, channels, h, w];
  }
  const sizes = (isList(value) ? value : [value]).map(pictureSize);
  if (sizes.some((size) => size.join() !== sizes[0].join())) {
    throw new InputError(
      `the pictures of input "${name}" are of several sizes, and the model takes any: resize them to one, or say which by inputShape`,
    );
  }
  // Sizes that are fixed are the model's: pictures are resized.
  const [own] = sizes;
  return (
    own && [
      1,
      channels,
      typeof height === 'number' ? height : own[1],
      typeof width === 'number' ? width : own[0],
    ]
  );
}

/** Inputs and outputs as the file has them. */
function describePorts(graph: Graph): {
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly ModelOutput[];
} {
  const index = indexGraph(graph);
  const demands = new Demands(index);
  const none = { scale: null, zeroPoint: null };
  const parametersOf = (node: Node | undefined): QuantizationParameters | undefined => {
    const parameters = node && activationParameters(graph, node);
    return typeof parameters === 'object' ? parameters : undefined;
  };
  const size = (dimension: number | string | undefined) =>
    typeof dimension === 'string' ? null : (dimension ?? 1);
  const inputs = graph.inputs
    .filter(({ name }) => !graph.constants.has(name))
    .map(({ name, dtype, shape: [, ...dimensions] }): ModelInput => {
      const [channels, ...spatial] = dimensions;
      const above = spatial.slice(0, -1).map(size);
      const { quantizer, conflict } = demands.of(name);
      const found =
        dtype === 'float32'
          ? conflict === undefined
            ? parametersOf(quantizer)
            : undefined
          : parametersOf(index.readers(name).find(dequantizeLinear.is));
      return {
        name,
        shape: ['N', ...dimensions],
        dtype: dtype as ModelInput['dtype'],
        channels: size(channels),
        height: above.reduce<number | null>(
          (product, each) => (product === null || each === null ? null : product * each),
          1,
        ),
        width: size(spatial.at(-1)),
        ...(found ? { scale: found.scale, zeroPoint: found.zeroPoint } : none),
      };
    });

  /** What computes a value, beyond what only passes it on. */
  const makerOf = (name: string, passes: (node: Node) => boolean): Node | undefined => {
    let node = index.producer(name);
    while (node && passes(node)) node = index.producer(node.inputs[0]);
    return node;
  };
  const outputs = graph.outputs.map(({ name, dtype, shape: [, ...dimensions] }): ModelOutput => {
    const quantizer = makerOf(name, (node) => keepsValues(roleOf(graph, node)));
    const found = dtype !== 'float32' && quantizeLinear.is(quantizer) ? parametersOf(quantizer) : undefined;
    const last = makerOf(
      name,
      (node) => quantizeLinear.is(node) || dequantizeLinear.is(node) || roleOf(graph, node) === 'renames',
    );
    return {
      name,
      shape: ['N', ...dimensions],
      dtype: dtype as ModelOutput['dtype'],
      ...(found
        ? { scale: found.scale, zeroPoint: dtype === 'uint8' ? found.zeroPoint + 128 : found.zeroPoint }
        : none),
      activation: softmax.is(last) ? 'softmax' : 'none',
    };
  });
  return { inputs, outputs };
}
