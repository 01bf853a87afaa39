/**
 * What a run of a program does on a GPU at one batch size, as plain data: no device here, so that it prints and is tested
 * without one.
 */
import type { GpuBinding, GpuCapabilities, GpuDispatch, GpuVariant } from '../ops/gpu-kernel.ts';
import type { OperatorRegistry } from '../ops/registry.ts';
import type { IntegerProgram, Operation, TensorId } from '../program/program.ts';
import { planMemory } from '../schedule/memory.ts';
import type { MemoryPlan, Step } from '../schedule/plan.ts';
import { plannedTensors } from '../schedule/steps.ts';
import { DeviceError } from '../errors.ts';

/** Storage buffer bindings must start at a multiple of this (the spec's default `minStorageBufferOffsetAlignment`). */
export const bindingAlignment = 256;

/** A range of an arena, or a constant, that a dispatch binds. */
export type PlannedBinding =
  | {
      readonly kind: 'arena';
      readonly arena: number;
      readonly offset: number;
      readonly bytes: number;
      readonly access: 'read' | 'write';
    }
  | { readonly kind: 'constant'; readonly key: string };

export interface PlannedDispatch {
  /** Index into `ExecutionPlan.operations`. */
  readonly operation: number;
  readonly dispatch: GpuDispatch;
  readonly bindings: readonly PlannedBinding[];
}

export interface PlannedVariant {
  readonly operation: Operation;
  readonly variant: GpuVariant;
}

export interface ExecutionPlan {
  readonly batch: number;
  readonly operations: readonly PlannedVariant[];
  readonly dispatches: readonly PlannedDispatch[];
  /** Step 0 writes the inputs, step i + 1 is `dispatches[i]`, and the last reads outputs and kept tensors. */
  readonly steps: readonly Step[];
  readonly memory: MemoryPlan;
  /** Where each tensor lies. A tensor that is not kept is only there during its own steps. */
  readonly tensors: ReadonlyMap<
    TensorId,
    { readonly arena: number; readonly offset: number; readonly bytes: number }
  >;
}

/** A program, and the device and batch size that it is to run with. */
export interface DeviceProgram {
  readonly program: IntegerProgram;
  readonly operators: OperatorRegistry;
  readonly batch: number;
  readonly capabilities: GpuCapabilities;
}

export interface PlanRequest extends DeviceProgram {
  /** Tensors that must still be there after the last dispatch, beside the outputs. */
  readonly keep: readonly TensorId[];
  /** Which of an operation's variants to take. */
  readonly choose: (candidates: Candidates) => GpuVariant;
}

/** The ways to run one operation, and the key under which tuning remembers the best. */
export interface Candidates {
  readonly operation: Operation;
  readonly tuningKey: string;
  readonly variants: readonly GpuVariant[];
}

/**
 * The ways to run one operation on a device.
 * @throws {DeviceError} the operator has no WebGPU kernel for it
 */
export function candidates(
  operation: Operation,
  { program, operators, batch, capabilities }: DeviceProgram,
): Candidates {
  const tensor = (id: TensorId) => program.tensors[id];
  const kernel = operators.of(operation).webgpu;
  const variants = kernel?.variants(operation, tensor, batch, capabilities) ?? [];
  if (!kernel || variants.length === 0) {
    throw new DeviceError(
      `operation "${operation.name}" (${operation.kind}) has no WebGPU kernel that this adapter can run; ` +
        `give its operator one, or load the model with backend 'wasm' or 'reference'`,
    );
  }
  return { operation, tuningKey: kernel.tuningKey(operation, tensor, batch), variants };
}

export function planExecution(request: PlanRequest): ExecutionPlan {
  const { program, batch, keep, choose } = request;
  const tensors = plannedTensors(program, batch);
  const steps: Step[] = [
    { name: 'input', reads: [], writes: [...new Set(program.inputs.map(({ tensor }) => tensor))] },
  ];
  const operations: PlannedVariant[] = [];
  const pending: { operation: number; dispatch: GpuDispatch; operands: readonly Operand[] }[] = [];

  for (const operation of program.operations) {
    const variant = choose(candidates(operation, request));
    // Workspaces are tensors to the planner, numbered after the program's.
    const workspaces = variant.workspaces.map((bytes, index) => {
      const id = tensors.length;
      tensors.push({ id, name: `${operation.name} workspace ${index}`, bytes });
      return id;
    });
    for (const dispatch of variant.dispatches) {
      const operands = dispatch.bindings.map((binding) => resolve(binding, variant, workspaces));
      steps.push({
        name: dispatch.label,
        reads: touched(operands, 'read'),
        writes: touched(operands, 'write'),
      });
      pending.push({ operation: operations.length, dispatch, operands });
    }
    operations.push({ operation, variant });
  }
  const last = new Set([...program.outputs.map(({ tensor }) => tensor), ...keep]);
  steps.push({ name: 'readback', reads: [...last], writes: [] });

  const memory = planMemory(tensors, steps, { alignment: bindingAlignment, separate: true });
  const places = new Map(memory.allocations.map((allocation) => [allocation.id, allocation]));
  const dispatches = pending.map(({ operation, dispatch, operands }) => ({
    operation,
    dispatch,
    bindings: operands.map((operand): PlannedBinding => {
      if (operand.kind === 'constant') return operand;
      const { arena, offset, bytes } = places.get(operand.id)!;
      return { kind: 'arena', arena, offset, bytes, access: operand.access };
    }),
  }));
  return {
    batch,
    operations,
    dispatches,
    steps,
    memory,
    tensors: new Map(
      program.tensors.filter(({ id }) => places.has(id)).map(({ id }) => [id, places.get(id)!]),
    ),
  };
}

type Operand =
  | { readonly kind: 'memory'; readonly id: TensorId; readonly access: 'read' | 'write' }
  | { readonly kind: 'constant'; readonly key: string };

function resolve(binding: GpuBinding, variant: GpuVariant, workspaces: readonly number[]): Operand {
  switch (binding.kind) {
    case 'tensor':
      return { kind: 'memory', id: binding.tensor, access: binding.access };
    case 'workspace':
      return { kind: 'memory', id: workspaces[binding.index], access: binding.access };
    case 'constant':
      return { kind: 'constant', key: variant.constants[binding.index].key };
  }
}

function touched(operands: readonly Operand[], access: 'read' | 'write'): TensorId[] {
  return [
    ...new Set(
      operands.flatMap((operand) =>
        operand.kind === 'memory' && operand.access === access ? [operand.id] : [],
      ),
    ),
  ];
}
