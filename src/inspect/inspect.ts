/** What becomes of each node of a model on a device, and why: found without the device, and without running anything. */
import * as v from 'valibot';
import { check, count, finite, flag, options as optionsOf, text, texts } from '../arguments.ts';
import { DeviceError, InputError, ModelError, type ModelProblem } from '../errors.ts';
import { indexGraph, type GraphIndex } from '../graph/graph-index.ts';
import type { Dimension, Graph, Node } from '../graph/graph.ts';
import { describeModel, type ModelDescription } from '../model/describe.ts';
import type { Profile } from '../model/model.ts';
import { assumedQuantization } from '../model/support.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import type { GpuVariant } from '../ops/gpu-kernel.ts';
import { moreOperators } from '../ops/more-operators.ts';
import { createOperatorRegistry, type OperatorRegistry } from '../ops/registry.ts';
import type { WasmArgument, WasmVariant } from '../ops/wasm-kernel.ts';
import { lower, type LoweredNode } from '../program/lower.ts';
import {
  byteCount,
  elementCount,
  type Conv2dOperation,
  type IntegerProgram,
  type Operation,
} from '../program/program.ts';
import { constantBytes, trafficBytes } from '../schedule/constants.ts';
import type { ExecutionPlan } from '../schedule/execution-plan.ts';
import type { MemoryPlan, Step } from '../schedule/plan.ts';
import { version } from '../version.ts';
import { planWasm } from '../wasm/plan.ts';
import { planExecution } from '../webgpu/execution-plan.ts';
import type { Accuracy } from './accuracy.ts';
import { expectedHostTime, expectedTime, type ExpectedTime } from './cost.ts';
import { anInspection } from './schema.ts';
import type { Sensitivity } from './sensitivity.ts';
import { deviceProfile, deviceProfileSchema, type DeviceProfile } from './target.ts';

export interface InspectOptions {
  /** A device profile, or the name of a built-in one. Default `webgpu`. */
  readonly target?: DeviceProfile | string;
  /** Images a run. Default 1. */
  readonly batch?: number;
  /**
   * What `quantize` made of a float graph: it says what runs, and the float graph's nodes are what is listed. Without it a float graph is
   * quantized as if every activation were between 0 and 1.
   */
  readonly quantized?: Graph;
  /** Adds the text of each kernel. Default false: it is long. */
  readonly kernels?: boolean;
}

/**
 * Where a node's work is done:
 *
 * - `device`: by a kernel
 * - `host`: on the CPU in float32, between device stages
 * - `none`: no work of its own: bounds, views, what is folded into others
 * - `refused`: nowhere, the model cannot run
 */
export type NodeStage = 'device' | 'host' | 'none' | 'refused';

/** A node of the file; pairs of QuantizeLinear and DequantizeLinear are not listed, unless they do work of their own. */
export interface InspectedNode {
  readonly name: string;
  /** ONNX operator. */
  readonly op: string;
  /** ONNX shape of its first output. */
  readonly shape: readonly Dimension[];
  readonly parameters: number;
  /** Multiply-adds for one image, by the file. */
  readonly macs: number;
  /** Names of the listed nodes and graph inputs that it reads, through quantization. */
  readonly reads: readonly string[];
  /** Name of its first output. */
  readonly value: string;
  readonly stage: NodeStage;
  /** Indices into `Inspection.operations`. */
  readonly operations: readonly number[];
  /** Why it runs there, in a sentence. */
  readonly reason: string;
}

/** An operation of the program, in the order of execution. */
export interface InspectedOperation {
  /** Of the node that it came from, the first where several were joined. */
  readonly name: string;
  /** Folder of src/ops. */
  readonly kind: string;
  readonly stage: 'device' | 'host';
  /** Kernel variant, null on the host. */
  readonly kernel: string | null;
  /** Arithmetic of the kernel, null where there is one kind only. */
  readonly family: string | null;
  /** Kernels that could run it; the first is taken unless the device is tuned. */
  readonly candidates: number;
  readonly dispatches: number;
  /** For the batch. */
  readonly macs: number;
  /** Activations in and out, weights and tables, each once, for the batch. */
  readonly bytes: number;
  readonly constantBytes: number;
  /** Bits that hold its weights; null without weights. */
  readonly weightBits: number | null;
  /** Bytes of its weights in a file, packed as those bits allow; null without. */
  readonly weightBytes: number | null;
  /** FNV-1a, 32 bits in hexadecimal, of a convolution's integer weights and biases; null without. Tells two versions apart, no more. */
  readonly checksum: string | null;
  /** Largest magnitude of an accumulator, whatever the input; null where nothing is summed up. */
  readonly accumulatorBound: number | null;
  /** Names of the tensors that it reads. */
  readonly reads: readonly string[];
  readonly output: InspectedTensor;
  readonly expected: ExpectedTime;
  /** Measured on a device, in milliseconds for the batch; null where nobody measured. */
  readonly measuredMs: number | null;
  /** WGSL of its dispatches, or calls of the WebAssembly kernels; null on the host, and where `InspectOptions.kernels` was not asked for. */
  readonly kernelText: string | null;
}

/** The result of an operation. */
export interface InspectedTensor {
  readonly name: string;
  /** ONNX shape, the batch first. */
  readonly shape: readonly Dimension[];
  readonly type: 'int8' | 'accumulator' | 'int32' | 'float32';
  /** For the batch, as stored. */
  readonly bytes: number;
  /** The first, where there is one a channel. */
  readonly scale: number;
  readonly zeroPoint: number;
}

export interface InspectionTotals {
  /** Number of nodes by stage. */
  readonly nodes: Readonly<Record<NodeStage, number>>;
  /** Multiply-adds of the program for the batch, and those of host stages. */
  readonly macs: number;
  readonly hostMacs: number;
  readonly bytes: number;
  /** Weights and tables. */
  readonly constantBytes: number;
  readonly dispatches: number;
  /** Host stages that the device waits for: tensors are handed to the host and back. */
  readonly hostStages: number;
  /** Expected, hand-overs to the host included. */
  readonly expectedMs: number;
  readonly measuredMs: number | null;
}

/** Plain data: `octet inspect --json`, by docs/inspection.schema.json. */
export interface Inspection {
  /** Version of this form. */
  readonly inspection: 1;
  readonly octet: string;
  readonly model: Omit<ModelDescription, 'layers'>;
  readonly target: DeviceProfile;
  readonly batch: number;
  /** Where nobody calibrated a float model yet: scales are made up, all else is as it will be. */
  readonly assumed: boolean;
  readonly nodes: readonly InspectedNode[];
  readonly operations: readonly InspectedOperation[];
  /** Why the model cannot run; empty where it can. */
  readonly problems: readonly ModelProblem[];
  /** Null where the model cannot run. */
  readonly memory: MemoryPlan | null;
  /** The steps that `memory` counts. */
  readonly steps: readonly Step[];
  readonly totals: InspectionTotals;
  /** What rounding did on given pictures (`measureAccuracy`); null where none were given. */
  readonly accuracy: Accuracy | null;
  /** What rounding each layer costs the answers (`analyzeSensitivity`); null where that was not measured. */
  readonly sensitivity: Sensitivity | null;
}

const inspectArguments = {
  graph: graphSchema,
  options: optionsOf({
    target: v.union([text, deviceProfileSchema], 'a DeviceProfile or the name of one'),
    batch: count,
    quantized: graphSchema,
    kernels: flag,
  }),
};

/**
 * Says of each node of a float or quantized graph what it becomes on a device, and why.
 *
 * @throws {InputError} a wrong argument, or no such device profile
 * @throws {DeviceError} the model is beyond the device's limits
 */
export function inspectModel(graph: Graph, options: InspectOptions = {}): Inspection {
  check('inspectModel', inspectArguments, { graph, options });
  const { target: asked = 'webgpu', batch = 1, quantized, kernels = false } = options;
  const target = typeof asked === 'string' ? deviceProfile(asked) : asked;
  const { layers, ...model } = describeModel(graph);
  const operators = createOperatorRegistry(moreOperators);
  const lowered: LoweredNode[] = [];
  let program: IntegerProgram | undefined;
  let problems: readonly ModelProblem[] = [];
  try {
    const runs = quantized ?? (model.quantized ? graph : assumedQuantization(graph));
    program = lower(runs, operators.operators, { onNode: (node) => lowered.push(node) });
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    ({ problems } = error);
  }
  const planned = program && planFor(program, operators, target, batch, kernels);
  const operations = program && planned ? operationsOf(program, operators, planned, target, batch) : [];
  const index = indexGraph(graph);
  const finder = new Finder(index, lowered, operations, problems);
  const described = new Map(layers.map((layer) => [layer.name, layer]));
  const listed = graph.nodes.filter((node) => described.has(node.name) || finder.worksItself(node));
  const names = new Set(listed);
  const nodes = listed.map((node): InspectedNode => {
    const layer = described.get(node.name);
    return {
      name: node.name,
      op: node.op,
      shape: layer?.shape ?? graph.values.get(node.outputs[0])?.shape ?? [],
      parameters: layer?.parameters ?? 0,
      macs: layer?.macs ?? 0,
      reads: sourcesOf(index, node, names),
      value: node.outputs[0],
      ...finder.find(node),
    };
  });
  return {
    inspection: 1,
    octet: version,
    model,
    target,
    batch,
    assumed: !model.quantized && !quantized,
    nodes,
    operations,
    problems,
    memory: planned?.plan.memory ?? null,
    steps: planned?.plan.steps ?? [],
    totals: totalsOf(nodes, operations, planned, target),
    accuracy: null,
    sensitivity: null,
  };
}

/**
 * The same with times that a device measured.
 *
 * @param profile of the same model and batch, as `Model.profile` gives it
 * @throws {InputError} a wrong argument, or a profile of another model or batch
 */
export function withMeasuredTimes(inspection: Inspection, profile: Profile): Inspection {
  check('withMeasuredTimes', { inspection: anInspection, profile: profileSchema }, { inspection, profile });
  const times = new Map(profile.operations.map(({ writes: [output], ms }) => [output, ms]));
  const { operations, batch, totals } = inspection;
  if (profile.batch !== batch || !operations.every(({ output }) => times.has(output.name))) {
    throw new InputError('withMeasuredTimes: the profile is of another model or batch than the inspection');
  }
  return {
    ...inspection,
    operations: operations.map((each) => ({ ...each, measuredMs: times.get(each.output.name)! })),
    totals: { ...totals, measuredMs: profile.totalMs },
  };
}

const profileSchema = v.object(
  {
    batch: count,
    totalMs: finite,
    operations: v.array(v.object({ writes: texts, ms: finite }, 'an operation'), 'a list of operations'),
  },
  'a Profile',
);

interface Planned {
  readonly plan: ExecutionPlan;
  /** Number of kernels that could run each operation of a device stage. */
  readonly candidates: ReadonlyMap<string, number>;
  /** By the name of the result; empty where they were not asked for. */
  readonly texts: ReadonlyMap<string, string>;
}

function planFor(
  program: IntegerProgram,
  operators: OperatorRegistry,
  target: DeviceProfile,
  batch: number,
  kernels: boolean,
): Planned {
  const candidates = new Map<string, number>();
  const kernelTexts = new Map<string, string>();
  if (target.backend === 'wasm') {
    const { relaxedDot } = target.wasm;
    const plan = planWasm({
      program,
      operators,
      batch,
      capabilities: { relaxedDot },
      keep: [],
      choose(operation, variants) {
        const name = outputName(program, operation);
        candidates.set(name, variants.length);
        if (kernels) kernelTexts.set(name, callsText(variants[0], program));
        return variants[0];
      },
    });
    return { plan, candidates, texts: kernelTexts };
  }
  const plan = planExecution({
    program,
    operators,
    batch,
    capabilities: target.webgpu,
    keep: [],
    choose({ operation, variants }) {
      const name = outputName(program, operation);
      candidates.set(name, variants.length);
      if (kernels) kernelTexts.set(name, dispatchesText(variants[0]));
      return variants[0];
    },
  });
  const { maxStorageBufferBindingSize: most } = target.webgpu.limits;
  for (const [id, { bytes }] of plan.tensors) {
    if (bytes <= most) continue;
    throw new DeviceError(
      `the model does not fit ${target.name} at batch ${batch}: tensor "${program.tensors[id].name}" takes ${bytes} bytes, and a binding may have ${most}`,
    );
  }
  return { plan, candidates, texts: kernelTexts };
}

function dispatchesText({ dispatches }: GpuVariant): string {
  return dispatches
    .map(({ label, code, workgroups }) => `// ${label}: ${workgroups.join(' × ')} workgroups\n${code.trim()}`)
    .join('\n\n');
}

/** The kernels are one compiled module: what differs from layer to layer is what they are called with. */
function callsText({ calls }: WasmVariant, program: IntegerProgram): string {
  const argument = (each: WasmArgument) => {
    if (each.kind === 'tensor') return JSON.stringify(program.tensors[each.tensor].name);
    if (each.kind === 'number') return String(each.value);
    return 'index' in each ? `${each.kind} ${each.index}` : each.kind;
  };
  return calls
    .map((each) => `${each.export}(${each.args.map(argument).join(', ')}) // ${each.units} units`)
    .join('\n');
}

const outputName = (program: IntegerProgram, { output }: { readonly output: number }) =>
  program.tensors[output].name;

function operationsOf(
  program: IntegerProgram,
  operators: OperatorRegistry,
  { plan, candidates, texts: kernelTexts }: Planned,
  target: DeviceProfile,
  batch: number,
): InspectedOperation[] {
  const tensor = (id: number) => program.tensors[id];
  const dispatches = plan.operations.map(() => 0);
  for (const { operation } of plan.dispatches) dispatches[operation]++;
  return plan.operations.map(({ operation, variant }, position): InspectedOperation => {
    const operator = operators.of(operation);
    const output = tensor(operation.output);
    const macs = batch * operator.macs(operation, tensor);
    const bytes = trafficBytes(program, operation, batch);
    const family = variant?.family ?? null;
    const { scale, zeroPoint } = output;
    return {
      name: operation.name,
      kind: operation.kind,
      stage: variant ? 'device' : 'host',
      kernel: variant?.name ?? null,
      family,
      candidates: candidates.get(output.name) ?? 0,
      dispatches: variant ? dispatches[position] : 0,
      macs,
      bytes,
      constantBytes: constantBytes(operation),
      ...weightFigures(operation),
      accumulatorBound: boundOf(operator.accumulatorBound?.(operation, tensor)),
      reads: operation.inputs.map((id) => tensor(id).name),
      output: {
        name: output.name,
        shape: output.shape,
        type: output.type,
        bytes: byteCount(output, batch),
        scale: typeof scale === 'number' ? scale : scale[0],
        zeroPoint,
      },
      expected: variant
        ? expectedTime({ macs, bytes, dispatches: dispatches[position], family }, target)
        : expectedHostTime(macs, elementCount(output, batch), target),
      measuredMs: null,
      kernelText: kernelTexts.get(output.name) ?? null,
    };
  });
}

function weightFigures(
  operation: Operation,
): Pick<InspectedOperation, 'weightBits' | 'weightBytes' | 'checksum'> {
  if (operation.kind !== 'conv2d') return { weightBits: null, weightBytes: null, checksum: null };
  const layer = operation as Conv2dOperation;
  const { bits } = layer.weights;
  return {
    weightBits: bits,
    weightBytes: Math.ceil((layer.weights.rows().length * bits) / 8),
    checksum: checksumOf(layer),
  };
}

/** http://www.isthe.com/chongo/tech/comp/fnv/ */
function checksumOf({ weights, bias }: Conv2dOperation): string {
  let hash = 0x811c9dc5;
  for (const values of [weights.rows(), bias]) {
    for (const value of values) hash = Math.imul(hash ^ value, 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** What only selects sums nothing up. */
const boundOf = (bound = 0) => (bound > 0 ? bound : null);

/** Finds what nodes of the file have become. */
class Finder {
  readonly #index: GraphIndex;
  readonly #byName: ReadonlyMap<string, LoweredNode>;
  readonly #byOutput: ReadonlyMap<string, LoweredNode>;
  readonly #operations: readonly InspectedOperation[];
  readonly #problems: readonly ModelProblem[];

  constructor(
    index: GraphIndex,
    lowered: readonly LoweredNode[],
    operations: readonly InspectedOperation[],
    problems: readonly ModelProblem[],
  ) {
    this.#index = index;
    this.#byName = new Map(lowered.map((each) => [each.node.name, each]));
    this.#byOutput = new Map(lowered.flatMap((each) => each.node.outputs.map((name) => [name, each])));
    this.#operations = operations;
    this.#problems = problems;
  }

  /** Whether a QuantizeLinear or DequantizeLinear is an operation by itself. */
  worksItself(node: Node): boolean {
    return this.#operations.some(({ name }) => name === node.name) || this.#problemsOf(node).length > 0;
  }

  find(node: Node): Pick<InspectedNode, 'stage' | 'operations' | 'reason'> {
    const own = this.#problemsOf(node);
    if (own.length > 0) return { stage: 'refused', operations: [], reason: own.join('; ') };
    const lowered = this.#byName.get(node.name) ?? this.#byOutput.get(node.outputs[0]);
    if (this.#operations.length === 0) {
      return { stage: 'refused', operations: [], reason: 'the model is refused because of other nodes' };
    }
    const operations = this.#operationsOf(node, lowered);
    if (operations.length > 0) return this.#worked(node, lowered, operations);
    const next = this.#next(node);
    const into = next ? ` "${next.name}"` : ' what reads it';
    const none = (reason: string) => ({ stage: 'none' as const, operations: [], reason });
    switch (lowered?.fate) {
      case 'clamp':
        return none(`bounds the integers of "${this.#before(node)}", where they are rounded anyway`);
      case 'function':
        return none(`a function of one tensor: it is in the table of${into}`);
      case 'view':
      case 'operations':
        return none('keeps values as they are and where they are: nothing is computed');
      case 'refused':
      case undefined:
        return none(`folded into${into} when the model is prepared`);
    }
  }

  #problemsOf(node: Node): string[] {
    return this.#problems.filter((problem) => problem.node === node.name).map(({ reason }) => reason);
  }

  #operationsOf(node: Node, lowered: LoweredNode | undefined): number[] {
    const writes = new Set(lowered?.writes ?? []);
    const byOutput = this.#where(({ output }) => writes.has(output.name));
    const named = this.#where(({ name }) => name === node.name || name === lowered?.node.name);
    // What was joined with its reader has kept its name, but writes what the reader wrote.
    return [...new Set([...byOutput, ...(lowered?.fate === 'clamp' ? [] : named)])].sort((a, b) => a - b);
  }

  #where(does: (operation: InspectedOperation) => boolean): number[] {
    return this.#operations.flatMap((operation, index) => (does(operation) ? [index] : []));
  }

  #worked(
    node: Node,
    lowered: LoweredNode | undefined,
    operations: readonly number[],
  ): Pick<InspectedNode, 'stage' | 'operations' | 'reason'> {
    const list = operations.map((index) => this.#operations[index]);
    if (lowered?.hostReason) return { stage: 'host', operations, reason: lowered.hostReason };
    const stage = list.every((operation) => operation.stage === 'host') ? 'host' : 'device';
    const main = list.find(({ name }) => name === node.name);
    if (!main) {
      return { stage, operations, reason: `part of the operation "${list[0].name}" (${list[0].kind})` };
    }
    if (stage === 'host') {
      return {
        stage,
        operations,
        reason: `${main.kind}: values pass between integers and real numbers here`,
      };
    }
    const others = main.candidates > 1 ? `, the default of ${main.candidates} kernels` : '';
    const arithmetic = main.family && main.family !== 'none' ? ` in ${main.family}` : '';
    return { stage, operations, reason: `${main.kind} by ${main.kernel}${arithmetic}${others}` };
  }

  /** The next node behind that is an operation. */
  #next(node: Node): InspectedOperation | undefined {
    let [name] = node.outputs;
    for (let reader = this.#index.onlyReader(name); reader; reader = this.#index.onlyReader(name)) {
      const lowered = this.#byName.get(reader.name) ?? this.#byOutput.get(reader.outputs[0]);
      const [first] = this.#operationsOf(reader, lowered);
      if (first !== undefined) return this.#operations[first];
      [name] = reader.outputs;
    }
    return undefined;
  }

  /** Name of the operation that a clamp bounds. */
  #before(node: Node): string {
    for (let producer = this.#index.producer(node.inputs[0]); producer;) {
      const lowered = this.#byName.get(producer.name) ?? this.#byOutput.get(producer.outputs[0]);
      const [first] = this.#operationsOf(producer, lowered);
      if (first !== undefined) return this.#operations[first].name;
      producer = this.#index.producer(producer.inputs[0]);
    }
    return node.inputs[0];
  }
}

/** What a node reads, through nodes that are not listed. */
function sourcesOf(index: GraphIndex, node: Node, listed: ReadonlySet<Node>): string[] {
  const found = new Set<string>();
  const open = [...node.inputs];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const producer = index.producer(name);
    if (producer && listed.has(producer)) found.add(producer.name);
    else if (producer) open.push(...producer.inputs.slice(0, 1));
    else if (index.graph.inputs.some((input) => input.name === name) && !index.graph.constants.has(name))
      found.add(name);
  }
  return [...found].sort();
}

function totalsOf(
  nodes: readonly InspectedNode[],
  operations: readonly InspectedOperation[],
  planned: Planned | undefined,
  target: DeviceProfile,
): InspectionTotals {
  const sum = (of: (operation: InspectedOperation) => number) =>
    operations.reduce((total, operation) => total + of(operation), 0);
  const counts: Record<NodeStage, number> = { device: 0, host: 0, none: 0, refused: 0 };
  for (const { stage } of nodes) counts[stage]++;
  const hostStages =
    planned?.plan.stages.filter(
      (stage) => stage.kind === 'host' && stage.reads.length > 0 && stage.writes.length > 0,
    ).length ?? 0;
  return {
    nodes: counts,
    macs: sum(({ macs }) => macs),
    hostMacs: sum(({ stage, macs }) => (stage === 'host' ? macs : 0)),
    bytes: sum(({ bytes }) => bytes),
    constantBytes: sum((operation) => operation.constantBytes),
    dispatches: sum(({ dispatches }) => dispatches),
    hostStages,
    expectedMs: sum(({ expected }) => expected.ms) + (hostStages * target.rates.hostMicroseconds) / 1e3,
    measuredMs: null,
  };
}
