/**
 * From a QDQ graph (float nodes between QuantizeLinear/DequantizeLinear pairs) to the integer program. What a
 * float node becomes is its operator's to say (src/ops/<kind>/lower.ts); here values are followed to their
 * QuantizeLinear.
 */
import { ModelError } from '../errors.ts';
import { numberAttribute, resolveAxis } from '../graph/attributes.ts';
import { type GraphIndex, indexGraph } from '../graph/graph-index.ts';
import type { Dimension, DType, Graph, Node, Tensor, ValueInfo } from '../graph/graph.ts';
import { inferShapes } from '../graph/infer-shapes.ts';
import { add } from '../graph/operators/add.ts';
import { conv } from '../graph/operators/conv.ts';
import { dequantizeLinear } from '../graph/operators/dequantize-linear.ts';
import { isFloats, selects, type Value as ConstantValue } from '../graph/operators/operator.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import { operatorOf, roleOf } from '../graph/operators/registry.ts';
import { softmax } from '../graph/operators/softmax.ts';
import { batchFirst } from '../graph/passes/batch-first.ts';
import { inputShapeAdvice } from '../graph/passes/input-shape.ts';
import { channelScales } from '../graph/passes/channel-scales.ts';
import { foldQuantizedAffine } from '../graph/passes/fold-quantized-affine.ts';
import { transposedToConv } from '../graph/passes/transposed-to-conv.ts';
import { followClamps, isQuantized } from '../graph/patterns.ts';
import { Problems } from '../graph/problems.ts';
import { fuse } from './fuse.ts';
import type {
  LoweredOutput,
  LoweringContext,
  LoweringRule,
  AccumulatorOptions,
  OutputOptions,
  PointwiseValue,
  QuantizedConstant,
} from './lowering.ts';
import { lookupTable, lowerPointwise, quantizeReal, realValues } from './pointwise.ts';
import { compact } from './compact.ts';
import { Demands, NO_DEMAND } from './demands.ts';
import { countOf, Draft } from './draft.ts';
import { hostProblem, isHostType } from './host.ts';
import { storeIntegers } from './input.ts';
import { isListable, moveSource, relayout, wholePart } from './move.ts';
import {
  activationParameters,
  hasBadScale,
  isScale,
  LARGEST_FLOAT32,
  parametersKey,
  type QuantizationParameters,
  sameParameters,
  scaleProblem,
} from './parameters.ts';
import { joinMatMulBias, withoutRepeatedConstants, withoutSizes } from './prepare.ts';
import { imageLayout, isHostTensor, sameLayout } from './program.ts';
import type {
  AccumulatorTensor,
  ConstantOperation,
  DequantizeOperation,
  FloatTensor,
  HostTensor,
  HostOperand,
  HostOperation,
  Int8Tensor,
  IntegerTensor,
  Layout,
  IntegerProgram,
  LookupOperation,
  MoveOperation,
  Operation,
  ProgramInput,
  ProgramOutput,
  ProgramTensor,
  QuantizeOperation,
  TensorId,
  WideByte,
} from './program.ts';

/** Any function of one value is a table, whether or not the operation lists its row. */
const tabulated: LoweringRule = { onnx: [], keepsLayout: true, lower: lowerPointwise };

export interface LowerOptions {
  /**
   * Joins operations (fuse.ts): a max pool or a residual addition with its convolution, a clamp with what it
   * clamps. Without, every tensor of the graph stays visible. The bytes are the same. Default true.
   */
  readonly fuse?: boolean;
  /**
   * Computes what no operation runs in integers on the host, in real numbers (`HostOperation`), where its row can. Without, such
   * nodes are problems. Default true.
   */
  readonly host?: boolean;
  /** Told what each node became, in the order of the graph, also of a graph that is refused. */
  readonly onNode?: (lowered: LoweredNode) => void;
}

/** What became of a node. */
export interface LoweredNode {
  readonly node: Node;
  /**
   * - `operations`: those that write `writes`
   * - `clamp`: bounds of the integers that the node before it gives
   * - `function`: a function of one tensor, in the table of what quantizes it
   * - `view`: nothing is computed: integers keep their places, or what quantizes them is the operation before
   * - `refused`
   */
  readonly fate: 'operations' | 'clamp' | 'function' | 'view' | 'refused';
  /** Names of the tensors that its operations write, before operations are joined. */
  readonly writes: readonly string[];
  /** Why it runs on the host; null where it does not. */
  readonly hostReason: string | null;
}

/** With shapes, transposed convolutions as convolutions, and what layers may do themselves in their weights. */
function prepared(graph: Graph, problems: Problems): Graph {
  const shaped = batchFirst(inferShapes(graph, problems), { recurrence: true });
  const rewritten = foldQuantizedAffine(channelScales(transposedToConv(shaped)));
  return rewritten === shaped ? shaped : inferShapes(rewritten, problems);
}

/**
 * @param rules what lowers each ONNX operator type; of two for one type, the later wins
 * @throws ModelError with every problem of the graph
 */
export function lower(
  graph: Graph,
  rules: readonly LoweringRule[],
  options: LowerOptions = {},
): IntegerProgram {
  checkQuantized(graph);
  const problems = new Problems(graph.opset);
  const lowering = new Lowering(
    joinMatMulBias(withoutSizes(withoutRepeatedConstants(prepared(graph, problems)))),
    rules,
    problems,
    options.host !== false,
    options.onNode,
  );
  const program = compact(lowering.run());
  return options.fuse === false ? program : fuse(program);
}

/** @throws {ModelError} a float model */
export function checkQuantized(graph: Graph): void {
  if (isQuantized(graph)) return;
  throw new ModelError(
    'the model is not quantized (it has no QuantizeLinear): run `octet quantize` on it first',
  );
}

/** A float value of the graph in the program's terms. */
type Value =
  | PointwiseValue
  | { readonly tensor: AccumulatorTensor; readonly values: null }
  /** In a host stage. */
  | { readonly tensor: HostTensor; readonly values: null };

/** Problems of the node that is being lowered: not reported where it goes to the host instead. */
interface Attempt {
  readonly problems: { readonly node: Node; readonly reason: string }[];
}

class Lowering implements LoweringContext {
  readonly graph: Graph;
  readonly #problems: Problems;
  /** Whether nodes may be computed on the host. */
  readonly #mayHost: boolean;
  readonly #rules = new Map<string, LoweringRule[]>();
  readonly #index: GraphIndex;
  readonly #demands: Demands;
  readonly #draft: Draft;
  readonly #inputs: ProgramInput[] = [];
  /** Float values by name. */
  readonly #values = new Map<string, Value>();
  /** Integer values: results of QuantizeLinear, integer graph inputs. */
  readonly #quantized = new Map<string, Int8Tensor>();
  /** QuantizeLinear nodes whose result an operation computes already. */
  readonly #resolved = new Map<Node, Int8Tensor>();
  /** Nodes that another node's operation does the work of. */
  readonly #absorbed = new Set<Node>();
  /** Values behind a problem: what reads them is not reported again. */
  readonly #failed = new Set<string>();
  /** Values in real numbers, for host stages: those that are computed otherwise. */
  readonly #reals = new Map<Value, FloatTensor>();
  /** The same of integers. */
  readonly #integers = new Map<Int8Tensor, IntegerTensor>();
  /** The bytes of integers of 16 bits. */
  readonly #bytes = new Map<HostTensor, Readonly<Record<WideByte, Int8Tensor>>>();
  #attempt: Attempt | undefined;
  /** Tables of float functions, by the function's name and what quantizes it: readers share them. */
  readonly #lookups = new Map<string, Int8Tensor>();
  /** Tensors in other layouts. */
  readonly #layouts = new Map<string, Int8Tensor>();

  readonly #onNode: LowerOptions['onNode'];

  constructor(
    graph: Graph,
    rules: readonly LoweringRule[],
    problems: Problems,
    mayHost: boolean,
    onNode: LowerOptions['onNode'],
  ) {
    this.graph = graph;
    this.#onNode = onNode;
    this.#mayHost = mayHost;
    this.#problems = problems;
    for (const rule of rules) {
      for (const { op } of rule.onnx) this.#rules.set(op, [rule, ...(this.#rules.get(op) ?? [])]);
    }
    this.#index = indexGraph(graph);
    this.#demands = new Demands(this.#index);
    this.#draft = new Draft(graph);
  }

  run(): IntegerProgram {
    for (const info of this.graph.inputs) if (!this.graph.constants.has(info.name)) this.#input(info);
    for (const node of this.graph.nodes) {
      const first = this.#draft.operations.length;
      const hostReason = this.#node(node) ?? null;
      this.#onNode?.(this.#fateOf(node, this.#draft.operations.slice(first), hostReason));
    }
    const outputs = this.graph.outputs.map((info) => this.#output(info));
    this.#problems.throwIfAny();
    return {
      name: this.graph.name,
      tensors: this.#draft.tensors,
      operations: this.#draft.operations,
      inputs: this.#inputs,
      outputs: outputs.filter((output) => output !== undefined),
      metadata: this.graph.metadata,
    };
  }

  // What operators call.

  activation(node: Node, index: number): Int8Tensor | undefined {
    const name = node.inputs[index] ?? '';
    if (this.#failed.has(name)) return undefined;
    const value = this.#values.get(name);
    if (!value) {
      this.problem(node, `its input "${name}" must be a quantized activation`);
      return undefined;
    }
    if (isInt8(value)) {
      if (value.values === null) return value.tensor;
      // What quantizes a selection may quantize what is selected from, for this reader alone.
      const { quantizer, conflict } =
        selects(roleOf(this.graph, node)) && index === 0 ? this.#demands.get(node.outputs[0]) : NO_DEMAND;
      if (quantizer && conflict === undefined) {
        return this.#parameters(quantizer) && this.#lookup(name, value, quantizer);
      }
    }
    this.problem(
      node,
      `its input "${name}" is not quantized: a QuantizeLinear and a DequantizeLinear must stand before it`,
    );
    return undefined;
  }

  image(node: Node, index: number): Int8Tensor | undefined {
    const layout = imageLayout(this.shape(node, index) ?? []);
    return layout ? this.inLayout(node, index, layout) : this.activation(node, index);
  }

  inLayout(node: Node, index: number, layout: Layout): Int8Tensor | undefined {
    const input = this.activation(node, index);
    return input && this.#regrouped(node, index, input, layout);
  }

  /** `input`, which is behind input `index` of `node`, in another layout. */
  #regrouped(node: Node, index: number, input: Int8Tensor, layout: Layout): Int8Tensor | undefined {
    if (sameLayout(input, layout)) return input;
    const name = node.inputs[index];
    const sizes = this.shape(node, index)?.slice(1) ?? [];
    const isFixed = sizes.every((size): size is number => typeof size === 'number');
    const source = isFixed && isListable(sizes) ? moveSource(input, layout, relayout(sizes)) : undefined;
    if (!source) {
      this.problem(node, `its input "${name}", of shape [${sizes}], is too large to be regrouped`);
      return undefined;
    }
    // Readers that ask for the same layout share what is moved.
    const key = `${input.id} ${layout.image.join()} ${layout.strides.join()}`;
    const known = this.#layouts.get(key);
    if (known) return known;
    const tensor = this.#draft.int8(`${name}.regrouped${this.#layouts.size}`, layout, input);
    this.emit<MoveOperation>({
      kind: 'move',
      name: `${node.name}.regroup`,
      inputs: [input.id],
      output: tensor.id,
      parts: [wholePart(tensor, source, null)],
      fill: tensor.zeroPoint,
    });
    this.#draft.set(this.#layouts, key, tensor);
    return tensor;
  }

  pointwise(node: Node, index: number, layout?: Layout): PointwiseValue | undefined {
    const value = this.#values.get(node.inputs[index] ?? '');
    if (!value || !isInt8(value)) return undefined;
    if (!layout || sameLayout(value.tensor, layout)) return value;
    // Tables of channels are of the channels as they lie.
    if (value.values && value.values.length > 256) return undefined;
    const tensor = this.#regrouped(node, index, value.tensor, layout);
    return tensor && { tensor, values: value.values };
  }

  constant(node: Node, index: number): QuantizedConstant | undefined {
    const dequantize = this.#index.producer(node.inputs[index] ?? '');
    if (!dequantizeLinear.is(dequantize)) return undefined;
    const [dataName, scaleName, zeroPointName = ''] = dequantize.inputs;
    const tensor = this.graph.constants.get(dataName);
    const scale = this.graph.constants.get(scaleName);
    // Scales of blocks are no matter of one multiplier a channel.
    if (!tensor || !scale || 'block_size' in dequantize.attributes) return undefined;
    const zeroPoint = this.graph.constants.get(zeroPointName);
    const offset = tensor.dtype === 'uint8' ? 128 : 0;
    const data =
      tensor.data instanceof Uint8Array
        ? asInt8(tensor.data, offset)
        : tensor.data instanceof Int8Array || tensor.data instanceof Int32Array
          ? tensor.data
          : undefined;
    if (!data) return undefined;
    return {
      data,
      shape: tensor.shape,
      scale: Float32Array.from(scale.data, Number),
      zeroPoint: Int32Array.from({ length: scale.data.length }, (_, i) =>
        zeroPoint ? Number(zeroPoint.data[i]) - offset : -offset,
      ),
      axis: resolveAxis(numberAttribute(dequantize, 'axis', 1), tensor.shape.length) ?? 0,
    };
  }

  reals(node: Node, index: number): (ConstantValue & { readonly data: Float32Array }) | undefined {
    const value = this.#constantValue(node.inputs[index] ?? '');
    return isFloats(value) ? value : undefined;
  }

  held(node: Node, values: Float32Array, layout: Layout, like: QuantizationParameters): Int8Tensor {
    const tensor = this.intermediate(node, layout, like, `constant${this.#draft.tensors.length}`);
    const integers = Int8Array.from(values, (real) => quantizeReal(real, like.scale, like.zeroPoint));
    this.emit<ConstantOperation>({
      kind: 'constant',
      name: node.name,
      inputs: [],
      output: tensor.id,
      values: storeIntegers(tensor, integers, 1),
    });
    return tensor;
  }

  plainConstant(node: Node, index: number): Tensor | undefined {
    return this.graph.constants.get(node.inputs[index] ?? '');
  }

  shape(node: Node, index: number): readonly Dimension[] | undefined {
    const name = node.inputs[index] ?? '';
    return (this.graph.values.get(name) ?? this.graph.constants.get(name))?.shape;
  }

  output(node: Node, layout: Layout, options?: OutputOptions): LoweredOutput | undefined;
  output(node: Node, layout: Layout, options: AccumulatorOptions): LoweredOutput<ProgramTensor> | undefined;
  output(
    node: Node,
    layout: Layout,
    { like, accumulatorScale }: OutputOptions & Partial<AccumulatorOptions> = {},
  ): LoweredOutput<ProgramTensor> | undefined {
    const clamps = followClamps(this.#index, node.outputs[0]);
    const { output: name, lo: min, hi: max } = clamps;
    const { quantizer, conflict } = this.#demands.get(name);
    if (like && (!quantizer || conflict !== undefined)) {
      // Exact for every reader: clamps and QuantizeLinears take it from here, each for itself.
      const tensor = this.#draft.int8(node.outputs[0], layout, like);
      this.#draft.set(this.#values, node.outputs[0], { tensor, values: null });
      return { tensor, lo: -128, hi: 127 };
    }
    const isRaw = quantizer ? conflict !== undefined : clamps.nodes.length > 0;
    if (accumulatorScale && this.#mayHost && isRaw) {
      // The layer stays in integers all the same; clamps and QuantizeLinears take its real values on the host.
      return this.#accumulate(node.outputs[0], layout, accumulatorScale);
    }
    for (const clamp of clamps.nodes) this.#draft.include(this.#absorbed, clamp);
    const fail = (reason: string): undefined => {
      this.problem(node, reason);
      this.#draft.include(this.#failed, name);
    };
    if (quantizer) {
      if (conflict !== undefined) return fail(conflict);
      const parameters = this.#parameters(quantizer);
      if (!parameters) {
        this.#draft.include(this.#failed, name);
        return undefined;
      }
      const tensor = this.#draft.int8(name, layout, parameters);
      this.#resolve(name, tensor);
      const { scale, zeroPoint } = parameters;
      return { tensor, lo: quantizeReal(min, scale, zeroPoint), hi: quantizeReal(max, scale, zeroPoint) };
    }
    if (min !== -Infinity || max !== Infinity || !accumulatorScale) {
      return fail(`its result "${name}" must be quantized: no QuantizeLinear follows it`);
    }
    return this.#accumulate(name, layout, accumulatorScale);
  }

  #accumulate(name: string, layout: Layout, scale: Float32Array): LoweredOutput<AccumulatorTensor> {
    const tensor = this.#draft.accumulators(name, layout, scale);
    this.#draft.set(this.#values, name, { tensor, values: null });
    return { tensor, lo: -128, hi: 127 };
  }

  indices(node: Node): IntegerTensor | undefined {
    const [name] = node.outputs;
    const info = this.graph.values.get(name);
    const count = info && countOf(info.shape);
    if (count === undefined) {
      this.problem(node, `its result "${name}" has no batch and fixed sizes behind it`);
      return undefined;
    }
    const tensor = this.#draft.integers(name, info!.shape, info!.dtype);
    this.#draft.set(this.#values, name, { tensor, values: null });
    return tensor;
  }

  intermediate(node: Node, layout: Layout, like: QuantizationParameters, what: string): Int8Tensor {
    return this.#draft.int8(`${node.outputs[0]}.${what}`, layout, like);
  }

  layoutBehind(node: Node): Layout | undefined {
    let [name] = node.outputs;
    for (let reader = this.#index.onlyReader(name); reader; reader = this.#index.onlyReader(name)) {
      const isPair = quantizeLinear.is(reader) || dequantizeLinear.is(reader);
      if (!isPair && roleOf(this.graph, reader) !== 'renames') {
        const rule = this.#rule(reader);
        const shape = this.graph.values.get(name)?.shape ?? [];
        const result = this.graph.values.get(reader.outputs[0])?.shape ?? [];
        if (!rule) return undefined;
        if (!rule.keepsLayout || result.join() !== shape.join()) {
          return rule.layout?.(reader, reader.inputs.indexOf(name), shape, this) ?? imageLayout(shape);
        }
      }
      [name] = reader.outputs;
    }
    return undefined;
  }

  endsGraph(node: Node): boolean {
    const open = [node.outputs[0]];
    for (let value = open.pop(); value !== undefined; value = open.pop()) {
      for (const reader of this.#index.readers(value)) {
        const isTail =
          quantizeLinear.is(reader) ||
          dequantizeLinear.is(reader) ||
          roleOf(this.graph, reader) === 'renames';
        if (!isTail) return false;
        open.push(reader.outputs[0]);
      }
    }
    return true;
  }

  emit<T extends Operation>(operation: T): void {
    this.#draft.emit(operation);
  }

  bind(node: Node, value: PointwiseValue): void {
    this.#draft.set(this.#values, node.outputs[0], value);
    for (const name of node.inputs) this.#release(name, node);
  }

  /** Lets tables of channels go that only `reader` needs: those of a large network take much memory. */
  #release(name: string, reader: Node): void {
    const values = this.#values.get(name)?.values;
    if (values && values.length > 256 && this.#index.onlyReader(name) === reader) {
      this.#draft.remove(this.#values, name);
    }
  }

  problem(node: Node, reason: string): void {
    if (this.#attempt) {
      this.#attempt.problems.push({ node, reason });
      return;
    }
    this.#problems.node(node, reason);
    for (const name of node.outputs) this.#draft.include(this.#failed, name);
  }

  // The sweep over the graph.

  #input({ name, dtype, shape }: ValueInfo): void {
    const layout = imageLayout(shape);
    if (!layout) {
      const advice = inputShapeAdvice([{ name, dtype, shape }]);
      this.#problems.add(
        advice
          ? `the input has shape [${shape}], with sizes that the file leaves open: ${advice}`
          : `the input has shape [${shape}]: it needs a batch and, behind it, fixed sizes above 0`,
        name,
      );
      this.#draft.include(this.#failed, name);
      return;
    }
    if (this.#index.readers(name).length === 0 && !this.#index.outputs.has(name)) {
      // Whoever runs the model passes it all the same; any scale will do.
      const tensor = this.#draft.int8(name, layout, { scale: 1, zeroPoint: 0 });
      const fileDtype = dtype === 'int8' || dtype === 'uint8' ? dtype : 'float32';
      this.#inputs.push({ name, tensor: tensor.id, fileDtype });
      return;
    }
    if (dtype === 'int8' || dtype === 'uint8') {
      const dequantize = this.#index.readers(name).find(dequantizeLinear.is);
      const parameters = dequantize && this.#parameters(dequantize);
      if (!parameters) {
        this.#problems.add('an integer input must be read by a DequantizeLinear with a constant scale', name);
        this.#draft.include(this.#failed, name);
        return;
      }
      const tensor = this.#draft.int8(name, layout, parameters);
      this.#inputs.push({ name, tensor: tensor.id, fileDtype: dtype });
      this.#draft.set(this.#quantized, name, tensor);
      return;
    }
    const { quantizer, conflict } = this.#demands.of(name);
    const parameters =
      quantizer && conflict === undefined ? activationParameters(this.graph, quantizer) : undefined;
    if (typeof parameters !== 'object') {
      if (!this.#mayHost || dtype !== 'float32') {
        const reason =
          dtype === 'float32'
            ? (conflict ?? parameters ?? 'the input is not quantized: no QuantizeLinear reads it')
            : `the input is ${dtype}: only float32, int8 and uint8 are supported`;
        this.#problems.add(reason, name);
        this.#draft.include(this.#failed, name);
        return;
      }
      const tensor = this.#draft.floats(name, shape);
      this.#inputs.push({ name, tensor: tensor.id, fileDtype: 'float32' });
      this.#draft.set(this.#values, name, { tensor, values: null });
      return;
    }
    const tensor = this.#draft.int8(name, layout, parameters);
    this.#inputs.push({ name, tensor: tensor.id, fileDtype: 'float32' });
    this.#resolve(name, tensor);
  }

  /** @param operations those that it became */
  #fateOf(node: Node, operations: readonly Operation[], hostReason: string | null): LoweredNode {
    const [output] = node.outputs;
    const isRefused = this.#problems.concern(node) || this.#failed.has(output);
    const fate = isRefused
      ? 'refused'
      : operations.length > 0
        ? 'operations'
        : this.#absorbed.has(node)
          ? 'clamp'
          : this.#values.get(output)?.values
            ? 'function'
            : 'view';
    const writes = operations.map((operation) => this.#draft.tensors[operation.output].name);
    return { node, fate, writes, hostReason };
  }

  /** @returns why the node runs on the host, undefined where it does not */
  #node(node: Node): string | undefined {
    if (this.#absorbed.has(node)) return undefined;
    const row = operatorOf(this.graph, node);
    const rule = this.#rule(node);
    const own = rule ? undefined : this.#structural(node);
    // The shares that a classifier ends in are for people, and in float32 by design.
    const isLastSoftmax = softmax.is(node) && this.endsGraph(node);
    const mayHost = this.#mayHost || isLastSoftmax;
    const isBehindProblem = node.inputs.some((name) => this.#failed.has(name));
    const isKnown =
      rule !== undefined || own !== undefined || (mayHost && row !== undefined && 'evaluate' in row);
    if (this.#problems.concern(node) || (isBehindProblem && isKnown)) {
      for (const name of node.outputs) this.#draft.include(this.#failed, name);
      return undefined;
    }
    const attempt: Attempt = { problems: [] };
    /** Of what no host stage would make better: an accumulator that overflows, a scale that is none. */
    const refusals: string[] = [];
    let undo: () => void = () => undefined;
    if (rule || own) {
      this.#attempt = attempt;
      undo = this.#draft.record(() => {
        try {
          if (rule && this.#lowerWide(node, rule)) return;
          if (this.#isReal(node)) this.#lowerReal(node);
          else if (rule) rule.lower(node, this);
          else own!.call(this, node);
        } catch (error) {
          if (!(error instanceof ModelError)) throw error;
          for (const { reason } of error.problems) refusals.push(reason);
        }
      });
      this.#attempt = undefined;
    } else {
      const reason = isLastSoftmax
        ? 'the network ends in it'
        : (row?.remedy ?? 'Octet cannot run this operator in integers');
      attempt.problems.push({ node, reason });
    }
    if (attempt.problems.length === 0 && refusals.length === 0) {
      const last = this.#draft.operations.at(-1);
      return last?.kind === 'quantize' && last.name === node.name
        ? ((last as QuantizeOperation).reason ?? undefined)
        : undefined;
    }
    const isUnsuited =
      mayHost && refusals.length === 0 && attempt.problems.every((problem) => problem.node === node);
    let onHost: string | undefined;
    if (isUnsuited) {
      undo();
      try {
        const why = attempt.problems.map(({ reason }) => reason).join('; ');
        onHost = this.#host(node, why);
        if (onHost === undefined) return why;
      } catch (error) {
        if (!(error instanceof ModelError)) throw error;
        onHost = error.problems.map(({ reason }) => reason).join('; ');
      }
    }
    for (const problem of attempt.problems) this.problem(problem.node, problem.reason);
    if (onHost !== undefined && row?.evaluate) {
      this.problem(node, `nor can it run in float32 on the CPU: ${onHost}`);
    }
    for (const reason of refusals) this.problem(node, reason);
    return undefined;
  }

  /** The latest that takes the node. */
  #rule(node: Node): LoweringRule | undefined {
    const rules = this.#rules.get(node.op);
    if (!rules) return roleOf(this.graph, node) === 'pointwise' ? tabulated : undefined;
    return rules.find((rule) => rule.takes?.(node, this) ?? true);
  }

  /** Whether the node reads a value of a host stage. */
  #isReal(node: Node): boolean {
    return node.inputs.some((name) => this.#hostTensor(name) !== undefined);
  }

  #hostTensor(name: string): HostTensor | undefined {
    const tensor = this.#values.get(name)?.tensor;
    return tensor && isHostTensor(tensor) ? tensor : undefined;
  }

  /**
   * A layer of int8 weights whose input has 16 bits, as two layers of its bytes: `Σ (q − z) · w = 256 · Σ (high − z_high) · w +
   * Σ (low − z_low) · w`. Both sums are on the device, each proved to fit int32 like any layer's; what they come to, the bias and what
   * follows, on the host.
   */
  #lowerWide(node: Node, rule: LoweringRule): boolean {
    const row = operatorOf(this.graph, node);
    const wide = row?.learned?.includes(1) ? this.#wideInput(node.inputs[0]) : undefined;
    const weights = wide && this.constant(node, 1);
    const biasName = node.inputs[2] ?? '';
    const bias = biasName === '' ? undefined : this.#constantValue(biasName);
    const info = this.graph.values.get(node.outputs[0]);
    if (!wide || !(weights?.data instanceof Int8Array) || !info || (biasName !== '' && !isFloats(bias)))
      return false;
    const sums: ProgramTensor[] = [];
    for (const byte of ['low', 'high'] as const) {
      const layer = { ...node, name: `${node.name}.${byte}`, inputs: node.inputs.slice(0, 2) };
      rule.lower(
        layer,
        this.#ofBytes(node, wide[byte], (tensor) => sums.push(tensor)),
      );
    }
    const [low, high] = sums;
    if (!high) return false;
    const name = node.outputs[0];
    const product = this.#draft.floats(bias ? `${name}.product` : name, info.shape);
    this.emit<DequantizeOperation>({
      kind: 'dequantize',
      name: node.name,
      inputs: [low.id, high.id],
      output: product.id,
      table: null,
    });
    const tensor = bias ? this.#withBias(node, product, bias, info) : product;
    this.#draft.set(this.#values, name, { tensor, values: null });
    return true;
  }

  /** The bytes of a value of 16 bits as tensors, in the layout of images; undefined where it is none. */
  #wideInput(name: string): Readonly<Record<WideByte, Int8Tensor>> | undefined {
    const dequantize = this.#index.producer(name);
    if (!dequantizeLinear.is(dequantize)) return undefined;
    const [integers, scaleName, zeroPointName = ''] = dequantize.inputs;
    const tensor = this.#hostTensor(integers);
    const scale = this.graph.constants.get(scaleName)?.data;
    const zeroPoint = this.graph.constants.get(zeroPointName)?.data ?? [0];
    const layout = imageLayout(this.graph.values.get(integers)?.shape ?? []);
    const isWide = tensor?.type === 'int32' && (tensor.dtype === 'int16' || tensor.dtype === 'uint16');
    if (!isWide || scale?.length !== 1 || zeroPoint.length !== 1 || !isScale(Number(scale[0])) || !layout) {
      return undefined;
    }
    const known = this.#bytes.get(tensor);
    if (known) return known;
    const zero = Number(zeroPoint[0]) - (tensor.dtype === 'uint16' ? 32_768 : 0);
    const part = (byte: WideByte, parameters: Pick<Int8Tensor, 'scale' | 'zeroPoint'>): Int8Tensor => {
      const output = this.#draft.int8(`${integers}.${byte}`, layout, parameters);
      this.emit<QuantizeOperation>({
        kind: 'quantize',
        name: dequantize.name,
        inputs: [tensor.id],
        output: output.id,
        reason: null,
        byte,
      });
      return output;
    };
    const bytes = {
      // Both with the scale of the low one: the sum of the two says by how much the high one counts.
      low: part('low', { scale: Number(scale[0]), zeroPoint: (zero & 255) - 128 }),
      high: part('high', { scale: Number(scale[0]), zeroPoint: zero >> 8 }),
    };
    this.#draft.set(this.#bytes, tensor, bytes);
    return bytes;
  }

  /** What a rule sees of a layer that reads `x`, without a bias, and gives its accumulators to `take`. */
  #ofBytes(node: Node, x: Int8Tensor, take: (tensor: AccumulatorTensor) => void): LoweringContext {
    const output = (
      layer: Node,
      layout: Layout,
      options: OutputOptions & Partial<AccumulatorOptions> = {},
    ): undefined | LoweredOutput<never> => {
      const { accumulatorScale } = options;
      const tensor =
        accumulatorScale && this.#draft.accumulators(`${layer.name}.sums`, layout, accumulatorScale);
      if (tensor) take(tensor);
      return (
        tensor && ({ tensor, lo: -128, hi: 127 } as LoweredOutput<ProgramTensor> as LoweredOutput<never>)
      );
    };
    return {
      graph: this.graph,
      activation: () => x,
      image: () => x,
      inLayout: (_, index, layout) => this.#regrouped(node, index, x, layout),
      pointwise: () => undefined,
      constant: (layer, index) => this.constant(layer, index),
      reals: (layer, index) => this.reals(layer, index),
      held: this.held.bind(this),
      plainConstant: (layer, index) => this.plainConstant(layer, index),
      shape: (layer, index) => this.shape(layer, index),
      output,
      indices: () => undefined,
      intermediate: this.intermediate.bind(this),
      layoutBehind: () => undefined,
      endsGraph: () => false,
      emit: (operation) => this.emit(operation),
      bind: () => undefined,
      problem: (_, reason) => this.problem(node, reason),
    };
  }

  #withBias(node: Node, product: FloatTensor, bias: ConstantValue, info: ValueInfo): FloatTensor {
    const tensor = this.#draft.floats(node.outputs[0], info.shape);
    // Along the channels of an image, or the last axis.
    const behind = conv.is(node) ? info.shape.length - 2 : 0;
    const value = { ...bias, shape: [...bias.shape, ...Array<number>(behind).fill(1)] };
    this.emit<HostOperation>({
      kind: 'host',
      name: node.name,
      inputs: [product.id],
      output: tensor.id,
      node: { ...node, op: add.op, attributes: {} },
      row: add,
      index: 0,
      isPerImage: false,
      operands: [{ input: 0, shape: info.shape, dtype: 'float32' }, { value }],
      reason: 'the bias of a layer whose input has 16 bits',
    });
    return tensor;
  }

  /** What stands in a host stage: it goes on there, or ends. */
  #lowerReal(node: Node): void {
    const [name] = node.inputs;
    const tensor = this.#hostTensor(name);
    if (tensor && roleOf(this.graph, node) === 'renames') {
      this.#rename(node);
    } else if (tensor?.type === 'float32' && quantizeLinear.is(node)) {
      this.#quantizeReals(node, tensor);
    } else {
      const real = node.inputs.find((each) => this.#hostTensor(each))!;
      this.problem(
        node,
        `its input "${real}" is not quantized: a QuantizeLinear and a DequantizeLinear must stand before it`,
      );
    }
  }

  /** @param reason why it is done on the host, null where a host stage ends here in any case */
  #quantizeReals(node: Node, tensor: FloatTensor, reason: string | null = null): void {
    const parameters = this.#parameters(node);
    if (!parameters) return;
    const shape = this.graph.values.get(node.inputs[0])?.shape ?? [];
    const layout = imageLayout(shape);
    if (!layout || countOf(shape) !== tensor.image[2]) {
      this.problem(
        node,
        `what it quantizes, "${node.inputs[0]}" [${shape}], has no batch and fixed sizes behind it`,
      );
      return;
    }
    const quantized = this.#draft.int8(node.outputs[0], layout, parameters);
    this.emit<QuantizeOperation>({
      kind: 'quantize',
      name: node.name,
      inputs: [tensor.id],
      output: quantized.id,
      reason,
    });
    this.#draft.set(this.#quantized, node.outputs[0], quantized);
  }

  /** Computes the node on the host, or says why that is not possible. */
  #host(node: Node, reason: string): string | undefined {
    const row = operatorOf(this.graph, node);
    if (!row?.evaluate) return 'it has no rule for that';
    const inputs: TensorId[] = [];
    const operands: (HostOperand | undefined)[] = [];
    for (const name of node.inputs) {
      const value = this.#constantValue(name);
      const info = this.graph.values.get(name);
      const tensor = value || !info ? undefined : (this.#integersOf(name) ?? this.#realsOf(name));
      if (name === '') operands.push(undefined);
      else if (value) operands.push({ value });
      else if (tensor && info) {
        operands.push({ input: inputs.push(tensor.id) - 1, shape: info.shape, dtype: info.dtype });
      } else return `its input "${name}" has no values on the host`;
    }
    if (inputs.length === 0) return 'it reads constants alone';
    const read = operands.filter((operand) => operand !== undefined && 'input' in operand);
    const perImage = ({ input }: { readonly input: number }) => this.#draft.tensors[inputs[input]].image[2];
    // What has no batch in front is of each image.
    const isPerImage =
      row.eachImage === true || read.some((operand) => countOf(operand.shape) !== perImage(operand));
    const mayBePerImage = read.every((operand) => elementsOf(operand.shape) === perImage(operand));
    if (isPerImage && !mayBePerImage) return 'the file fixes the batch to more than one image';
    for (const [index, name] of node.outputs.entries()) {
      const isRead = this.#index.readers(name).length > 0 || this.#index.outputs.has(name);
      if (!isRead && index > 0) continue;
      const problem = this.#hostOutput(
        { node, row, operands, index, isPerImage },
        inputs,
        reason,
        mayBePerImage,
      );
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #hostOutput(
    host: Pick<HostOperation, 'node' | 'row' | 'operands' | 'index' | 'isPerImage'>,
    inputs: readonly TensorId[],
    reason: string,
    mayBePerImage: boolean,
  ): string | undefined {
    const { node, operands, index } = host;
    const name = node.outputs[index];
    const result = this.graph.values.get(name);
    if (!result || !isHostType(result.dtype)) {
      return `it gives ${result?.dtype ?? 'an unknown type'}, which host stages do not pass on`;
    }
    const hasFixedBatch = this.graph.inputs[0]?.shape[0] === 1;
    const problemOf = (isPerImage: boolean) =>
      hostProblem({ ...host, isPerImage }, result, this.graph, hasFixedBatch, this.#draft);
    let { isPerImage } = host;
    let problem = problemOf(isPerImage);
    const readsNoBatch = operands.some(
      (each) => each && 'input' in each && typeof each.shape[0] !== 'string',
    );
    if (problem !== undefined && !isPerImage && mayBePerImage && (hasFixedBatch || readsNoBatch)) {
      isPerImage = true;
      problem = problemOf(isPerImage) && problem;
    }
    if (problem !== undefined) return problem;
    const perImage =
      hasBatch(result.shape) || !isPerImage ? countOf(result.shape)! : elementsOf(result.shape);
    const tensor = this.#draft.host(name, result, perImage);
    this.emit<HostOperation>({
      kind: 'host',
      name: node.name,
      inputs,
      output: tensor.id,
      ...host,
      isPerImage,
      reason,
    });
    this.#draft.set(this.#values, name, { tensor, values: null });
    return undefined;
  }

  /** The integers of what is called `name`, where it is such. */
  #integersOf(name: string): HostTensor | undefined {
    const quantized = this.#quantized.get(name);
    const info = this.graph.values.get(name);
    if (!quantized || !info || countOf(info.shape) === undefined) return undefined;
    const known = this.#integers.get(quantized);
    if (known) return known;
    const offset = info.dtype === 'uint8' ? 128 : 0;
    const tensor = this.#draft.integers(`${name}.host`, info.shape, info.dtype);
    this.emit<DequantizeOperation>({
      kind: 'dequantize',
      name: this.#index.producer(name)?.name ?? name,
      inputs: [quantized.id],
      output: tensor.id,
      table: Float32Array.from({ length: 256 }, (_, i) => i - 128 + offset),
    });
    this.#draft.set(this.#integers, quantized, tensor);
    return tensor;
  }

  /** The values of what is called `name`; undefined where it has none, or is not a number somewhere. */
  #realsOf(name: string): HostTensor | undefined {
    const value = this.#values.get(name);
    if (!value || isHostTensor(value.tensor)) return value?.tensor as HostTensor | undefined;
    const known = this.#reals.get(value);
    if (known) return known;
    const table = isInt8(value) ? Float32Array.from(realValues(value)) : null;
    const shape = this.graph.values.get(name)?.shape;
    if (!shape || countOf(shape) === undefined || table?.some(Number.isNaN)) return undefined;
    const tensor = this.#draft.floats(`${name}.float`, shape);
    this.emit<DequantizeOperation>({
      kind: 'dequantize',
      name: this.#index.producer(name)?.name ?? name,
      inputs: [value.tensor.id],
      output: tensor.id,
      table,
    });
    this.#draft.set(this.#reals, value, tensor);
    return tensor;
  }

  /** A constant, quantized or not, in real numbers; undefined for what is computed. */
  #constantValue(name: string): ConstantValue | undefined {
    const constant = this.graph.constants.get(name);
    if (constant) return constant;
    const producer = this.#index.producer(name);
    if (!dequantizeLinear.is(producer)) return undefined;
    const inputs = producer.inputs.map((input) => this.graph.constants.get(input));
    const shape = inputs[0]?.shape;
    if (!shape) return undefined;
    return dequantizeLinear.evaluate?.({
      node: producer,
      inputs,
      dtype: 'float32',
      shape,
      numbers: () => undefined,
    });
  }

  /** What lowering does itself with nodes that become no operation of the program. */
  #structural(node: Node): ((node: Node) => void) | undefined {
    if (quantizeLinear.is(node)) return this.#quantize;
    if (dequantizeLinear.is(node)) return this.#dequantize;
    return roleOf(this.graph, node) === 'renames' ? this.#rename : undefined;
  }

  #quantize(node: Node): void {
    const resolved = this.#resolved.get(node);
    if (resolved) {
      this.#draft.set(this.#quantized, node.outputs[0], resolved);
      return;
    }
    // Float weights with a QuantizeLinear are folded on import (graph/passes/fold-constants.ts).
    const name = node.inputs[0];
    const value = this.#values.get(name);
    const parameters = this.#parameters(node);
    if (!parameters) return;
    const reals = value?.tensor.type === 'accumulator' && this.#mayHost ? this.#realsOf(name) : undefined;
    if (reals?.type === 'float32') {
      this.#quantizeReals(node, reals, this.#demands.of(name).conflict ?? null);
      return;
    }
    if (!value || !isInt8(value)) {
      this.problem(node, `it quantizes "${name}", which is not computed from quantized tensors`);
      return;
    }
    const isSame = value.values === null && sameParameters(value.tensor, parameters);
    this.#draft.set(
      this.#quantized,
      node.outputs[0],
      isSame ? value.tensor : this.#lookup(name, value, node),
    );
    this.#release(name, node);
  }

  #dequantize(node: Node): void {
    const [name] = node.inputs;
    if (this.graph.constants.has(name)) {
      this.#checkConstant(node);
      return;
    }
    const parameters = this.#parameters(node);
    if (!parameters) return;
    const tensor = this.#quantized.get(name);
    if (!tensor) {
      this.problem(node, `its input "${name}" is neither a constant nor the result of a QuantizeLinear`);
    } else if (!sameParameters(tensor, parameters)) {
      const other = this.#reinterpreted(node, tensor, parameters);
      this.#draft.set(this.#values, node.outputs[0], { tensor: other, values: null });
    } else {
      this.#draft.set(this.#values, node.outputs[0], { tensor, values: null });
    }
  }

  /** The same integers, with other real values. */
  #reinterpreted(node: Node, tensor: Int8Tensor, parameters: QuantizationParameters): Int8Tensor {
    const other = this.#draft.int8(node.outputs[0], tensor, parameters);
    this.emit<LookupOperation>({
      kind: 'lookup',
      name: node.name,
      inputs: [tensor.id],
      output: other.id,
      table: Int8Array.from({ length: 256 }, (_, i) => i - 128),
    });
    return other;
  }

  #checkConstant(node: Node): void {
    const scale = this.graph.constants.get(node.inputs[1]);
    const bad = scale && Array.from(scale.data, Number).find((s) => !isScale(s));
    if (bad !== undefined) throw new ModelError(scaleProblem(bad));
  }

  #rename(node: Node): void {
    const [name] = node.inputs;
    const quantized = this.#quantized.get(name);
    const value = this.#values.get(name);
    const tensor = quantized ?? value?.tensor;
    const shape = this.graph.values.get(node.outputs[0])?.shape;
    if (!tensor) {
      this.problem(node, `its input "${name}" must be a quantized activation`);
      return;
    }
    // Elements keep their order in any shape; operators ask for those that they understand (`activation`).
    if (countOf(shape) !== (isHostTensor(tensor) ? tensor.image[2] : countOf(tensor.shape))) {
      this.problem(
        node,
        `it gives [${shape ?? '?'}] from [${tensor.shape}]: the batch must stay the first dimension`,
      );
      return;
    }
    if (quantized) this.#draft.set(this.#quantized, node.outputs[0], quantized);
    if (value) this.#draft.set(this.#values, node.outputs[0], value);
  }

  #output({ name, dtype, shape }: ValueInfo): ProgramOutput | undefined {
    if (this.#failed.has(name)) return undefined;
    const value = this.#values.get(name);
    const quantized = this.#quantized.get(name);
    const tensor =
      quantized ?? (value?.values === null ? value.tensor : this.#mayHost ? this.#realsOf(name) : undefined);
    const sizes = shape.slice(1);
    if (!tensor) {
      this.#problems.add('the output must be quantized, or the result of a convolution or dense layer', name);
      return undefined;
    }
    if (!sizes.every((size) => typeof size === 'number')) {
      this.#problems.add(`the output has shape [${shape}]: sizes other than the batch must be fixed`, name);
      return undefined;
    }
    // |q − zeroPoint| is at most 255, and an accumulator's at most 2³¹.
    const scales = typeof tensor.scale === 'number' ? [tensor.scale] : tensor.scale;
    const largest =
      Array.from(scales).reduce((a, b) => Math.max(a, b)) * (tensor.type === 'int8' ? 255 : 2 ** 31);
    if (!(largest <= LARGEST_FLOAT32)) {
      this.#problems.add(
        "the output's scale is so large that its values leave float32: check the scales of the quantized model",
        name,
      );
      return undefined;
    }
    if (countOf(shape) !== (isHostTensor(tensor) ? tensor.image[2] : countOf(tensor.shape))) {
      this.#problems.add(
        `the output has shape [${shape}], but is computed as [${tensor.shape}]: the batch must stay the first dimension`,
        name,
      );
      return undefined;
    }
    const outputType = tensor.type === 'int32' ? tensor.dtype : quantized ? dtype : 'float32';
    if (!isOutputType(outputType)) {
      this.#problems.add(`the output is ${outputType}, which Octet does not give`, name);
      return undefined;
    }
    return {
      name,
      tensor: tensor.id,
      dtype: outputType,
      shape: sizes,
    };
  }

  // Following values.

  /** Scale and zero point of an activation's QuantizeLinear or DequantizeLinear, or a problem and undefined. */
  #parameters(node: Node): QuantizationParameters | undefined {
    const isReported = this.#attempt?.problems.some((problem) => problem.node === node);
    if (isReported || this.#problems.concern(node)) return undefined;
    const parameters = activationParameters(this.graph, node);
    if (typeof parameters !== 'string') return parameters;
    if (this.#attempt && hasBadScale(this.graph, node)) throw new ModelError(parameters);
    this.problem(node, parameters);
    return undefined;
  }

  /** Binds a float value to the tensor that quantizes it. */
  #resolve(name: string, tensor: Int8Tensor): void {
    this.#draft.set(this.#values, name, { tensor, values: null });
    for (const reader of this.#index.readers(name)) {
      if (quantizeLinear.is(reader)) this.#draft.set(this.#resolved, reader, tensor);
    }
  }

  /** The tensor of `value`, called `name`, quantized as `quantizer` says, by a table. */
  #lookup(name: string, value: PointwiseValue, quantizer: Node): Int8Tensor {
    const parameters = this.#parameters(quantizer)!;
    const isRequantized = value.values === null;
    const key = `${name}, ${parametersKey(this.graph, quantizer)}`;
    const known = isRequantized ? undefined : this.#lookups.get(key);
    if (known) return known;
    const [integers] = quantizer.outputs;
    const isDirect = isRequantized || quantizer.inputs[0] === name;
    const other = isDirect ? integers : `${name}.${integers}`;
    const isTaken = isRequantized || this.#draft.names.has(name);
    const tensor = this.#draft.int8(isTaken ? other : name, value.tensor, parameters);
    this.emit<LookupOperation>({
      kind: 'lookup',
      name: (isRequantized ? undefined : this.#index.producer(name)?.name) ?? quantizer.name,
      inputs: [value.tensor.id],
      output: tensor.id,
      table: lookupTable(value, tensor),
    });
    if (!isRequantized) this.#draft.set(this.#lookups, key, tensor);
    return tensor;
  }
}

const OUTPUT_TYPES: readonly string[] = [
  'float32',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'int64',
  'bool',
] satisfies ProgramOutput['dtype'][];

function isOutputType(dtype: DType): dtype is ProgramOutput['dtype'] {
  return OUTPUT_TYPES.includes(dtype);
}

/** Unsigned constants as int8, made once: nodes share them, and programs of other sizes. */
const shifted = new WeakMap<Uint8Array, Int8Array>();

/** An unsigned constant as int8: uint8 less 128, uint4 and uint2 as they are. */
function asInt8(data: Uint8Array, offset: number): Int8Array {
  let integers = shifted.get(data);
  if (!integers) shifted.set(data, (integers = Int8Array.from(data, (q) => q - offset)));
  return integers;
}

/** Of what a file with an open batch, or one of 1, says. */
function hasBatch([batch]: readonly Dimension[]): boolean {
  return typeof batch === 'string' || batch === 1;
}

/** All elements, the batch counted as one. */
function elementsOf(shape: readonly Dimension[]): number {
  return shape.reduce<number>((product, size) => product * (typeof size === 'number' ? size : 1), 1);
}

function isInt8(value: Value): value is PointwiseValue {
  return value.tensor.type === 'int8';
}
