/**
 * Runs one variant of one operation on a device, alone: no scheduler, no session. Outputs are poisoned before the run, and every buffer
 * ends in guard words that must survive. No Node imports: browsers run this too.
 */
import type { GpuBinding, GpuVariant } from '../../src/ops/gpu-kernel.ts';
import type { TensorBuffer } from '../../src/program/program.ts';
import { byteCount, type ProgramTensor, type TensorId } from '../../src/program/program.ts';

/** Words after the end of every buffer that a shader may write. */
const GUARD_WORDS = 64;
const POISON = 0xa5c3_5a3c;

export class GpuTestError extends Error {
  override name = 'GpuTestError';
}

/** Pipelines by text, since test cases repeat shapes. */
const pipelines = new WeakMap<GPUDevice, Map<string, Promise<GPUComputePipeline>>>();

function bindingType(binding: GpuBinding): GPUBufferBindingType {
  return binding.kind !== 'constant' && binding.access === 'write' ? 'storage' : 'read-only-storage';
}

function compile(
  device: GPUDevice,
  code: string,
  bindings: readonly GpuBinding[],
): Promise<GPUComputePipeline> {
  let ofDevice = pipelines.get(device);
  if (!ofDevice) pipelines.set(device, (ofDevice = new Map<string, Promise<GPUComputePipeline>>()));
  let pipeline = ofDevice.get(code);
  if (!pipeline) {
    const layout = device.createBindGroupLayout({
      entries: bindings.map((entry, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: bindingType(entry) },
      })),
    });
    const module = device.createShaderModule({ code });
    pipeline = device
      .createComputePipelineAsync({
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main' },
      })
      .catch(async (cause: unknown) => {
        const { messages } = await module.getCompilationInfo();
        const reasons = messages.map(
          ({ type, lineNum, message }) => `${type} in line ${lineNum}: ${message}`,
        );
        throw new GpuTestError([...reasons, String(cause)].join('\n'), { cause });
      });
    ofDevice.set(code, pipeline);
  }
  return pipeline;
}

/** Compiles what `variant` needs; `runVariant` then finds it there. */
export async function compileVariant(device: GPUDevice, { dispatches }: GpuVariant): Promise<void> {
  await Promise.all(dispatches.map(({ code, bindings }) => compile(device, code, bindings)));
}

/**
 * Runs `variant` once and reads its output back.
 *
 * @param inputs whole buffers in the program's layout
 * @throws GpuTestError on a compilation or validation error, and where a guard word was overwritten
 */
export function runVariant(
  device: GPUDevice,
  variant: GpuVariant,
  tensor: (id: TensorId) => ProgramTensor,
  output: TensorId,
  inputs: ReadonlyMap<TensorId, Int8Array>,
  batch: number,
): Promise<TensorBuffer> {
  return scoped(device, variant.name, () => run(device, variant, tensor, output, inputs, batch));
}

async function run(
  device: GPUDevice,
  variant: GpuVariant,
  tensor: (id: TensorId) => ProgramTensor,
  output: TensorId,
  inputs: ReadonlyMap<TensorId, Int8Array>,
  batch: number,
): Promise<TensorBuffer> {
  const buffers: GPUBuffer[] = [];
  const create = (bytes: number, data?: ArrayBufferView, guarded = false) => {
    const words = Math.ceil(bytes / 4) + (guarded ? GUARD_WORDS : 0);
    const buffer = device.createBuffer({
      size: words * 4,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
    if (guarded) device.queue.writeBuffer(buffer, 0, new Uint32Array(words).fill(POISON));
    if (data) {
      device.queue.writeBuffer(buffer, 0, data.buffer, data.byteOffset, data.byteLength);
    }
    buffers.push(buffer);
    return { buffer, bytes };
  };

  try {
    const constants = variant.constants.map(({ data }) => {
      const values = data();
      return create(values.byteLength, values);
    });
    const workspaces = variant.workspaces.map((bytes) => create(bytes, undefined, true));
    const tensors = new Map([...inputs].map(([id, data]) => [id, create(data.byteLength, data)]));
    const result = create(byteCount(tensor(output), batch), undefined, true);
    tensors.set(output, result);
    const resolve = (binding: GpuBinding) => {
      if (binding.kind === 'tensor') return tensors.get(binding.tensor)!;
      return (binding.kind === 'constant' ? constants : workspaces)[binding.index];
    };

    const compiled = await Promise.all(
      variant.dispatches.map(({ code, bindings }) => compile(device, code, bindings)),
    );
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const [i, { bindings, workgroups }] of variant.dispatches.entries()) {
      const pipeline = compiled[i];
      const entries = bindings.map((binding, index) => {
        const { buffer, bytes } = resolve(binding);
        // Exactly the bytes of the tensor: an access beyond it is out of bounds, not in the guard.
        return { binding: index, resource: { buffer, size: Math.ceil(bytes / 4) * 4 } };
      });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(...workgroups);
    }
    pass.end();
    const guarded = [result, ...workspaces];
    const readbacks = guarded.map(({ buffer }) => {
      const readback = device.createBuffer({
        size: buffer.size,
        usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
      });
      encoder.copyBufferToBuffer(buffer, 0, readback, 0, buffer.size);
      buffers.push(readback);
      return readback;
    });
    device.queue.submit([encoder.finish()]);
    await Promise.all(readbacks.map((readback) => readback.mapAsync(GPUMapMode.READ)));
    const contents = readbacks.map((readback) => new Uint32Array(readback.getMappedRange()));
    for (const [i, words] of contents.entries()) {
      if (words.subarray(Math.ceil(guarded[i].bytes / 4)).some((word) => word !== POISON)) {
        throw new GpuTestError(`wrote beyond the end of ${i === 0 ? 'its output' : `workspace ${i - 1}`}`);
      }
    }
    const bytes = contents[0].slice().buffer.slice(0, result.bytes);
    return tensor(output).type === 'int8' ? new Int8Array(bytes) : new Int32Array(bytes);
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

/** Runs `work` inside error scopes: what the device complains of comes before what that led to. */
async function scoped<T>(device: GPUDevice, name: string, work: () => Promise<T>): Promise<T> {
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  const [outcome] = await Promise.allSettled([work()]);
  const errors = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
  for (const error of errors) if (error) throw new GpuTestError(`${name}: ${error.message}`);
  if (outcome.status === 'fulfilled') return outcome.value;
  const { reason } = outcome as { reason: unknown };
  throw new GpuTestError(`${name}: ${reason instanceof Error ? reason.message : String(reason)}`, {
    cause: reason,
  });
}
