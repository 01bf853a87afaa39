/**
 * What a run of a program does at one batch size, on whatever backend, as plain data: it prints, and is tested without a device.
 */
import {
  type IntegerProgram,
  isHostTensor,
  type Operation,
  type ProgramTensor,
  type TensorId,
} from '../program/program.ts';
import { planMemory } from './memory.ts';
import type { MemoryPlanOptions } from './memory.ts';
import type { MemoryPlan, Step } from './plan.ts';
import { plannedTensors } from './steps.ts';

/** How a kernel multiplies: packed dot, or unpacked in exact f32 or i32. `none` for kernels that only move or compare. */
export type ArithmeticFamily = 'dot4I8Packed' | 'f32' | 'i32' | 'none';

/** What plans tell of a backend's way to run an operation. */
export interface PlannedVariant {
  readonly name: string;
  /** Where the backend has several. */
  readonly family?: ArithmeticFamily;
  /** Bytes of each workspace, which lives only during the operation. */
  readonly workspaces: readonly number[];
}

export interface PlannedOperation<V extends PlannedVariant = PlannedVariant> {
  readonly operation: Operation;
  /** Null: the reference runs it, on the host. */
  readonly variant: V | null;
  /** Ids that the memory plan knows the variant's workspaces by, numbered after the program's tensors. */
  readonly workspaces: readonly TensorId[];
}

/** A range of an arena, or a constant, that a dispatch binds. */
export type PlannedBinding =
  | {
      readonly kind: 'arena';
      readonly arena: number;
      readonly offset: number;
      readonly bytes: number;
      readonly access: 'read' | 'write';
    }
  /** Index into the constants of the operation's variant. */
  | { readonly kind: 'constant'; readonly index: number };

export interface PlannedDispatch<D = unknown> {
  /** Index into `ExecutionPlan.operations`. */
  readonly operation: number;
  /** In the backend's terms. */
  readonly dispatch: D;
  readonly bindings: readonly PlannedBinding[];
}

export interface PlannedInput<D = unknown> {
  readonly tensor: TensorId;
  /** Quantizes pixels, before the first stage; null where the host does it. */
  readonly quantizePixels: D | null;
}

/** `from` to `to` − 1. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Operations that the device runs one after the other. */
export interface DeviceStage {
  readonly kind: 'device';
  readonly operations: Span;
  readonly dispatches: Span;
}

/** Operations that the CPU runs one after the other, by their references. */
export interface HostStage {
  readonly kind: 'host';
  readonly operations: Span;
  /** Tensors that the device holds and no host stage before this one has read. */
  readonly reads: readonly TensorId[];
  /** Results that device stages behind it read. */
  readonly writes: readonly TensorId[];
}

export type Stage = DeviceStage | HostStage;

export interface ExecutionPlan<V extends PlannedVariant = PlannedVariant, D = unknown> {
  readonly batch: number;
  readonly inputs: readonly PlannedInput<D>[];
  readonly operations: readonly PlannedOperation<V>[];
  /** In order; a device stage and a host stage take turns. */
  readonly stages: readonly Stage[];
  readonly dispatches: readonly PlannedDispatch<D>[];
  /** Tensors that host stages compute, and inputs that they read as real values. */
  readonly onHost: ReadonlySet<TensorId>;
  /** Step 0 writes the inputs, and the last reads outputs and kept tensors. */
  readonly steps: readonly Step[];
  readonly memory: MemoryPlan;
  /** Where each tensor of the device lies. One that is not kept is only there during its own steps. */
  readonly tensors: ReadonlyMap<
    TensorId,
    { readonly arena: number; readonly offset: number; readonly bytes: number }
  >;
}

/** What dispatches read or write, before memory is planned. */
export type Operand =
  | { readonly kind: 'tensor'; readonly id: TensorId; readonly access: 'read' | 'write' }
  | { readonly kind: 'workspace'; readonly index: number; readonly access: 'read' | 'write' }
  | { readonly kind: 'constant'; readonly index: number };

/** Dispatches between which no memory changes hands: a step of the memory plan. */
export interface DeviceWork<D> {
  readonly name: string;
  readonly dispatches: readonly D[];
  /** What they bind, all of them the same. */
  readonly operands: readonly Operand[];
}

export interface StageRequest<V extends PlannedVariant, D> {
  readonly program: IntegerProgram;
  readonly batch: number;
  /** Tensors that must still be there after the last stage, beside the outputs. */
  readonly keep: readonly TensorId[];
  readonly memory: MemoryPlanOptions;
  /** Whether the host works in the device's own memory. Else it has memory of its own, which the plan does not count. */
  readonly hostSharesMemory: boolean;
  /** How the device runs an operation; null where the host does. */
  readonly variantOf: (operation: Operation) => V | null;
  /** The dispatch that quantizes the pixels of an input; null where the host does it. */
  readonly pixelsOf: (tensor: ProgramTensor) => D | null;
  /** What running the variant is made of. */
  readonly workOf: (operation: Operation, variant: V) => readonly DeviceWork<D>[];
}

export function planStages<V extends PlannedVariant, D>(request: StageRequest<V, D>): ExecutionPlan<V, D> {
  const { program, batch, keep, hostSharesMemory } = request;
  const tensors = plannedTensors(program, batch);
  const operations = program.operations.map((operation): PlannedOperation<V> => {
    const variant = request.variantOf(operation);
    const workspaces = (variant?.workspaces ?? []).map((bytes, index) => {
      const id = tensors.length;
      tensors.push({ id, name: `${operation.name} workspace ${index}`, bytes });
      return id;
    });
    return { operation, variant, workspaces };
  });

  const inputs = unique(program.inputs.map(({ tensor }) => tensor));
  // Only host stages read real values.
  const isOnHost = (id: TensorId) => isHostTensor(program.tensors[id]);
  const hostInputs = inputs.filter(isOnHost);
  const written = hostSharesMemory ? inputs : inputs.filter((id) => !isOnHost(id));
  const steps: Step[] = [{ name: 'input', reads: [], writes: written }];
  const stages: Stage[] = [];
  const pending: { operation: number; dispatch: D; operands: readonly Operand[] }[] = [];
  const residency = new Residency(operations, hostInputs);
  for (let from = 0; from < operations.length;) {
    const onHost = operations[from].variant === null;
    let to = from + 1;
    while (to < operations.length && (operations[to].variant === null) === onHost) to++;
    if (onHost) {
      const stage: HostStage = { kind: 'host', operations: { from, to }, ...residency.hostStage(from, to) };
      stages.push(stage);
      const run = operations.slice(from, to).map(({ operation }) => operation);
      if (hostSharesMemory) {
        for (const { name, inputs: reads, output } of run) steps.push({ name, reads, writes: [output] });
      } else {
        const name = run.length === 1 ? run[0].name : `${run[0].name} to ${run[run.length - 1].name}`;
        steps.push({ name, reads: stage.reads, writes: stage.writes });
      }
    } else {
      const first = pending.length;
      for (let index = from; index < to; index++) {
        const { operation, variant, workspaces } = operations[index];
        for (const { name, dispatches, operands } of request.workOf(operation, variant!)) {
          steps.push({
            name,
            reads: touched(operands, 'read', workspaces),
            writes: touched(operands, 'write', workspaces),
          });
          for (const dispatch of dispatches) pending.push({ operation: index, dispatch, operands });
        }
      }
      stages.push({
        kind: 'device',
        operations: { from, to },
        dispatches: { from: first, to: pending.length },
      });
    }
    from = to;
  }
  const last = unique([...program.outputs.map(({ tensor }) => tensor), ...keep]);
  const held = hostSharesMemory ? last : last.filter((id) => !residency.onHost.has(id));
  steps.push({ name: 'output', reads: held, writes: [] });

  const memory = planMemory(tensors, steps, request.memory);
  const places = new Map(memory.allocations.map((allocation) => [allocation.id, allocation]));
  const dispatches = pending.map(({ operation, dispatch, operands }): PlannedDispatch<D> => {
    const { workspaces } = operations[operation];
    return {
      operation,
      dispatch,
      bindings: operands.map((operand) => {
        if (operand.kind === 'constant') return operand;
        const { arena, offset, bytes } = places.get(memoryId(operand, workspaces))!;
        return { kind: 'arena', arena, offset, bytes, access: operand.access };
      }),
    };
  });
  return {
    batch,
    inputs: inputs.map((tensor) => ({
      tensor,
      quantizePixels: isOnHost(tensor) ? null : request.pixelsOf(program.tensors[tensor]),
    })),
    operations,
    stages,
    dispatches,
    onHost: residency.onHost,
    steps,
    memory,
    tensors: new Map(
      program.tensors.filter(({ id }) => places.has(id)).map(({ id }) => [id, places.get(id)!]),
    ),
  };
}

/** Which tensors host stages compute, and which the host has meanwhile. */
class Residency {
  readonly onHost: ReadonlySet<TensorId>;
  readonly #operations: readonly PlannedOperation[];
  readonly #hostHas: Set<TensorId>;
  /** Last operation on the device that reads a tensor. */
  readonly #lastRead = new Map<TensorId, number>();

  constructor(operations: readonly PlannedOperation[], inputs: readonly TensorId[]) {
    this.#operations = operations;
    this.onHost = new Set([
      ...inputs,
      ...operations.filter(({ variant }) => variant === null).map(({ operation }) => operation.output),
    ]);
    this.#hostHas = new Set(this.onHost);
    for (const [index, { operation, variant }] of operations.entries()) {
      if (variant !== null) for (const id of operation.inputs) this.#lastRead.set(id, index);
    }
  }

  /** What a host stage of these operations takes from the device and gives to it. */
  hostStage(from: number, to: number): Pick<HostStage, 'reads' | 'writes'> {
    const stage = this.#operations.slice(from, to).map(({ operation }) => operation);
    const reads = unique(stage.flatMap(({ inputs }) => inputs)).filter((id) => !this.#hostHas.has(id));
    for (const id of reads) this.#hostHas.add(id);
    const outputs = stage.map(({ output }) => output);
    return { reads, writes: outputs.filter((id) => (this.#lastRead.get(id) ?? -1) >= to) };
  }
}

function memoryId(
  operand: Exclude<Operand, { kind: 'constant' }>,
  workspaces: readonly TensorId[],
): TensorId {
  return operand.kind === 'tensor' ? operand.id : workspaces[operand.index];
}

function touched(
  operands: readonly Operand[],
  access: 'read' | 'write',
  workspaces: readonly TensorId[],
): TensorId[] {
  return unique(
    operands.flatMap((operand) =>
      operand.kind !== 'constant' && operand.access === access ? [memoryId(operand, workspaces)] : [],
    ),
  );
}

function unique(ids: readonly TensorId[]): TensorId[] {
  return [...new Set(ids)];
}
