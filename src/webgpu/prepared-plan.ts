/** An execution plan made ready on a device: a run only walks its list. */
import type { TensorId } from '../program/program.ts';
import type { ConstantCache, HeldConstant } from './constants.ts';
import type { GpuPlan } from './execution-plan.ts';
import { bufferUsage } from './flags.ts';
import { guarded } from './guard.ts';
import type { PipelineCache } from './pipelines.ts';

export interface PreparedDispatch {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [x: number, y: number, z: number];
}

/** Part of a buffer. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

export interface PreparedPlan {
  readonly plan: GpuPlan;
  readonly dispatches: readonly PreparedDispatch[];
  /** Where a tensor lies while it lives. */
  range(tensor: TensorId): BufferRange;
  /** Bytes of prepacked weights and tables that its dispatches read. */
  readonly constantBytes: number;
  /** Frees its arenas and lets go of its constants. Work that was submitted still finishes. */
  dispose(): void;
}

/**
 * Compiles, uploads and binds all that a plan needs.
 * @throws {DeviceError} out of memory, or a kernel that does not compile
 */
export async function preparePlan(
  device: GPUDevice,
  plan: GpuPlan,
  pipelines: PipelineCache,
  constants: ConstantCache,
  onKernel?: (label: string) => void,
): Promise<PreparedPlan> {
  // All pipelines at once, and constants are packed meanwhile: browsers compile on threads of their own.
  const compiling = Promise.all(
    plan.dispatches.map(async ({ dispatch, bindings }) => {
      const kernel = await pipelines.kernel(
        dispatch.label,
        dispatch.code,
        bindings.map((binding) => (binding.kind === 'arena' ? binding.access : 'read')),
      );
      onKernel?.(dispatch.label);
      return kernel;
    }),
  );
  // Awaited below; should packing fail first, nobody else would take the rejection.
  compiling.catch(() => undefined);

  const arenas: GPUBuffer[] = [];
  /** Of each operation. */
  const held: HeldConstant[][] = [];
  const dispose = () => {
    for (const arena of arenas.splice(0)) arena.destroy();
    for (const constant of held.splice(0).flat()) constant.release();
  };
  try {
    await guarded(device, `preparing batch ${plan.batch}`, () => {
      for (const [index, size] of plan.memory.arenas.entries()) {
        arenas.push(
          device.createBuffer({
            label: `arena ${index} of batch ${plan.batch}`,
            size,
            usage: bufferUsage.storage | bufferUsage.copySrc | bufferUsage.copyDst,
          }),
        );
      }
      for (const { operation, variant } of plan.operations) {
        const own: HeldConstant[] = [];
        held.push(own);
        for (const constant of variant?.constants ?? []) own.push(constants.acquire(operation, constant));
      }
    });
    const kernels = await compiling;
    return await guarded(device, `binding batch ${plan.batch}`, () => {
      const dispatches = plan.dispatches.map(({ operation, dispatch, bindings }, index): PreparedDispatch => {
        const { pipeline, layout } = kernels[index];
        const bindGroup = device.createBindGroup({
          label: dispatch.label,
          layout,
          entries: bindings.map((binding, slot) => ({
            binding: slot,
            resource:
              binding.kind === 'constant'
                ? { buffer: held[operation][binding.index].buffer }
                : { buffer: arenas[binding.arena], offset: binding.offset, size: binding.bytes },
          })),
        });
        return { pipeline, bindGroup, workgroups: dispatch.workgroups };
      });
      let constantBytes = 0;
      for (const buffer of new Set(held.flat().map((each) => each.buffer))) constantBytes += buffer.size;
      return {
        plan,
        dispatches,
        constantBytes,
        range(tensor: TensorId) {
          const { arena, offset, bytes } = plan.tensors.get(tensor)!;
          return { buffer: arenas[arena], offset, size: bytes };
        },
        dispose,
      };
    });
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Encodes dispatches into a pass, setting the pipeline only where it changes. */
export function encode(pass: GPUComputePassEncoder, dispatches: readonly PreparedDispatch[]): void {
  let current: GPUComputePipeline | undefined;
  for (const { pipeline, bindGroup, workgroups } of dispatches) {
    if (pipeline !== current) {
      pass.setPipeline(pipeline);
      current = pipeline;
    }
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...workgroups);
  }
}
