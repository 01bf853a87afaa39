/** What a run of a program does on this backend at one batch size, as plain data: no memory and no engine here. */
import { DeviceError } from '../errors.ts';
import type { OperatorRegistry } from '../ops/registry.ts';
import { wasmKernelOf } from '../ops/wasm-kernels.ts';
import type {
  RelaxedDot,
  ValueRange,
  WasmArgument,
  WasmCall,
  WasmCapabilities,
  WasmVariant,
} from '../ops/wasm-kernel.ts';
import type { IntegerProgram, Operation, TensorId } from '../program/program.ts';
import { planStages } from '../schedule/execution-plan.ts';
import type { ExecutionPlan } from '../schedule/execution-plan.ts';
import { MAX_CALLS, type PreparedCall } from './execute.ts';

/** Tensors lie at multiples of a vector's size. */
const ALIGNMENT = 16;

export interface WasmPlan extends ExecutionPlan<WasmVariant, WasmCall> {
  readonly relaxedDot: RelaxedDot;
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
  const tensor = (id: TensorId) => program.tensors[id];
  const range = valueRanges(program, operators);
  let calls = 0;
  const plan = planStages<WasmVariant, WasmCall>({
    program,
    batch,
    keep,
    memory: { alignment: ALIGNMENT, separate: false },
    hostSharesMemory: true,
    pixelsOf: () => null,
    variantOf(operation) {
      const { stage } = operators.of(operation);
      const wasm = wasmKernelOf(operators, operation);
      if (!wasm || stage === 'host') return null;
      const variants = wasm.variants(operation, tensor, batch, capabilities, range);
      if (variants.length === 0) return null;
      const variant = choose(operation, variants);
      calls += variant.calls.length;
      if (calls > MAX_CALLS) {
        throw new DeviceError(
          `a run at batch ${batch} takes more than ${MAX_CALLS} kernel calls: use a smaller batch or model`,
        );
      }
      return variant;
    },
    workOf: ({ name, inputs, output }, { calls, workspaces }) => [
      {
        name,
        dispatches: calls,
        operands: [
          ...inputs.map((id) => ({ kind: 'tensor', id, access: 'read' }) as const),
          { kind: 'tensor', id: output, access: 'write' },
          ...workspaces.map((_, index) => ({ kind: 'workspace', index, access: 'write' }) as const),
        ],
      },
    ],
  });
  return {
    ...plan,
    relaxedDot: capabilities.relaxedDot,
    scratchBytes: plan.dispatches.reduce((most, { dispatch }) => Math.max(most, dispatch.scratchBytes), 0),
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
    const kernel = wasmKernelOf(operators, operation);
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
