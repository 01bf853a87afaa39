/** How a GPU runs a program at one batch size: no device here, so that plans print and are tested without one. */
import { layGrid, wordCount } from '../ops/gpu-dispatch.ts';
import type { GpuBinding, GpuCapabilities, GpuDispatch, GpuVariant } from '../ops/gpu-kernel.ts';
import type { OperatorRegistry } from '../ops/registry.ts';
import { webgpuKernelOf } from '../ops/webgpu-kernels.ts';
import type { IntegerProgram, Operation, ProgramTensor, TensorId } from '../program/program.ts';
import { planStages } from '../schedule/execution-plan.ts';
import type { ExecutionPlan, Operand } from '../schedule/execution-plan.ts';
import { DeviceError } from '../errors.ts';
import { quantizePixelsWgsl } from '../../shaders/quantize-pixels.wgsl.ts';

/** Storage buffer bindings must start at a multiple of this (the spec's default `minStorageBufferOffsetAlignment`). */
export const bindingAlignment = 256;

export type GpuPlan = ExecutionPlan<GpuVariant, GpuDispatch>;

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
 * The ways to run one operation of a device stage.
 * @throws {DeviceError} the operator has no WebGPU kernel for it
 */
export function candidates(
  operation: Operation,
  { program, operators, batch, capabilities }: DeviceProgram,
): Candidates {
  const tensor = (id: TensorId) => program.tensors[id];
  const kernel = webgpuKernelOf(operators, operation);
  const variants = kernel?.variants(operation, tensor, batch, capabilities) ?? [];
  if (!kernel || variants.length === 0) {
    throw new DeviceError(
      `operation "${operation.name}" (${operation.kind}) has no WebGPU kernel that this adapter can run; ` +
        `give its operator one, or load the model with backend 'wasm' or 'reference'`,
    );
  }
  return { operation, tuningKey: kernel.tuningKey(operation, tensor, batch), variants };
}

export function planExecution(request: PlanRequest): GpuPlan {
  const { program, batch, capabilities, keep, choose } = request;
  return planStages<GpuVariant, GpuDispatch>({
    program,
    batch,
    keep,
    memory: { alignment: bindingAlignment, separate: true },
    hostSharesMemory: false,
    pixelsOf: (tensor) => quantizePixels(tensor, batch, capabilities),
    variantOf: (operation) =>
      request.operators.of(operation).stage === 'host' ? null : choose(candidates(operation, request)),
    workOf: (_, variant) =>
      variant.dispatches.map((dispatch) => ({
        name: dispatch.label,
        dispatches: [dispatch],
        operands: dispatch.bindings.map(operandOf),
      })),
  });
}

/** Binds the pixels, the table of what each becomes, and the tensor. */
function quantizePixels(tensor: ProgramTensor, batch: number, capabilities: GpuCapabilities): GpuDispatch {
  const [height, width, channels] = tensor.image;
  const { grid, workgroups } = layGrid(wordCount(tensor, batch), capabilities);
  const pixels = batch * height * width;
  return {
    label: `${tensor.name} pixels`,
    code: quantizePixelsWgsl({ pixels, channels, zeroPoint: tensor.zeroPoint }, grid),
    bindings: [
      { kind: 'workspace', index: 0, access: 'read' },
      { kind: 'constant', index: 0 },
      { kind: 'tensor', tensor: tensor.id, access: 'write' },
    ],
    workgroups,
  };
}

function operandOf(binding: GpuBinding): Operand {
  return binding.kind === 'tensor' ? { kind: 'tensor', id: binding.tensor, access: binding.access } : binding;
}
