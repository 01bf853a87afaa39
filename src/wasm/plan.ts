/** What a run of a program does on this backend at one batch size, as plain data: no memory and no engine here. */
import { DeviceError } from '../errors.ts';
import type { OperatorRegistry } from '../ops/registry.ts';
import type {
  RelaxedDot,
  ValueRange,
  WasmArgument,
  WasmCapabilities,
  WasmVariant,
} from '../ops/wasm-kernel.ts';
import type { IntegerProgram, Operation, TensorId } from '../program/program.ts';
import { planMemory } from '../schedule/memory.ts';
import type { MemoryPlan } from '../schedule/plan.ts';
import { plannedTensors, stepsOf } from '../schedule/steps.ts';
import { MAX_CALLS, type PreparedCall } from './execute.ts';

/** Tensors lie at multiples of a vector's size. */
const ALIGNMENT = 16;

export interface PlannedOperation {
  readonly operation: Operation;
  /** Null where the operator has no kernel here: its reference runs in its place. */
  readonly variant: WasmVariant | null;
  /** Ids that the memory plan knows the variant's workspaces by. */
  readonly workspaces: readonly TensorId[];
}

export interface WasmPlan {
  readonly batch: number;
  readonly relaxedDot: RelaxedDot;
  readonly operations: readonly PlannedOperation[];
  /** Step 0 writes the inputs, step i + 1 is operation i, the last reads outputs and kept tensors. One arena. */
  readonly memory: MemoryPlan;
  /** Scratch bytes of one thread. */
  readonly scratchBytes: number;
}

/** Takes one of an operation's variants, the default first. */
export type ChooseVariant = (operation: Operation, variants: readonly WasmVariant[]) => WasmVariant;

export interface WasmPlanRequest {
  readonly program: IntegerProgram;
  readonly operators: OperatorRegistry;
  readonly batch: number;
  readonly capabilities: WasmCapabilities;
  /** Tensors that must still be there after the last call, beside the outputs. */
  readonly keep: readonly TensorId[];
  readonly choose?: ChooseVariant;
}

export function planWasm({
  program,
  operators,
  batch,
  capabilities,
  keep,
  choose = (_, variants) => variants[0],
}: WasmPlanRequest): WasmPlan {
  const tensors = plannedTensors(program, batch);
  const byId = new Map(program.tensors.map((tensor) => [tensor.id, tensor]));
  let nextId = program.tensors.reduce((next, { id }) => Math.max(next, id + 1), 0);
  const range = valueRanges(program, operators);
  const operations = program.operations.map((operation): PlannedOperation => {
    const variants =
      operators.of(operation).wasm?.variants(operation, (id) => byId.get(id)!, batch, capabilities, range) ??
      [];
    if (variants.length === 0) return { operation, variant: null, workspaces: [] };
    const variant = choose(operation, variants);
    const workspaces = variant.workspaces.map((bytes, index) => {
      tensors.push({ id: nextId, name: `${operation.name} workspace ${index}`, bytes });
      return nextId++;
    });
    return { operation, variant, workspaces };
  });
  const calls = operations.flatMap(({ variant }) => variant?.calls ?? []);
  if (calls.length > MAX_CALLS) {
    throw new DeviceError(
      `a run at batch ${batch} takes ${calls.length} kernel calls, more than ${MAX_CALLS}: use a smaller batch or model`,
    );
  }
  const [input, ...rest] = stepsOf(program);
  const output = rest.pop()!;
  const steps = [
    input,
    ...rest.map((step, i) => ({ ...step, writes: [...step.writes, ...operations[i].workspaces] })),
    { ...output, reads: [...new Set([...output.reads, ...keep])] },
  ];
  return {
    batch,
    relaxedDot: capabilities.relaxedDot,
    operations,
    memory: planMemory(tensors, steps, { alignment: ALIGNMENT, separate: false }),
    scratchBytes: calls.reduce((most, call) => Math.max(most, call.scratchBytes), 0),
  };
}

/** Range of each tensor's values, from what its operation clamps to. Int8 where nothing is known. */
export function valueRanges(
  program: IntegerProgram,
  operators: OperatorRegistry,
): (id: TensorId) => ValueRange {
  const byId = new Map(program.tensors.map((tensor) => [tensor.id, tensor]));
  const ranges = new Map<TensorId, ValueRange>();
  const range = (id: TensorId) => ranges.get(id) ?? { lo: -128, hi: 127 };
  for (const operation of program.operations) {
    const kernel = operators.of(operation).wasm;
    const narrow = kernel?.outputRange?.(operation, range);
    if (!narrow) continue;
    // Padded lanes hold the zero point.
    const { zeroPoint } = byId.get(operation.output)!;
    ranges.set(operation.output, { lo: Math.min(narrow.lo, zeroPoint), hi: Math.max(narrow.hi, zeroPoint) });
  }
  return range;
}

/** Where a variant's arguments lie. */
export interface Addresses {
  tensor(id: TensorId): number;
  constant(index: number): number;
  workspace(index: number): number;
}

/** A variant's calls with addresses in place of names. */
export function prepareCalls(variant: WasmVariant, addresses: Addresses): PreparedCall[] {
  return variant.calls.map((call) => ({
    export: call.export,
    args: call.args
      .filter(({ kind }) => kind !== 'unitStart' && kind !== 'unitEnd')
      .map((argument) => addressOf(argument, addresses)),
    scratchArgument: call.args.findIndex(({ kind }) => kind === 'scratch'),
    units: call.units,
  }));
}

function addressOf(argument: WasmArgument, addresses: Addresses): number {
  switch (argument.kind) {
    case 'tensor':
      return addresses.tensor(argument.tensor);
    case 'constant':
      return addresses.constant(argument.index);
    case 'workspace':
      return addresses.workspace(argument.index);
    case 'number':
      return argument.value;
    case 'scratch':
    case 'unitStart':
    case 'unitEnd':
      return 0;
  }
}
