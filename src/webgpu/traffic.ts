/** What a device takes beside multiply-adds: memory traffic, and the fixed cost of a dispatch. */
import { copyWgsl, COPY_WORKGROUP } from '../../shaders/copy.wgsl.ts';
import type { OpenDevice } from './device.ts';
import { bufferUsage } from './flags.ts';
import { guarded } from './guard.ts';
import { PipelineCache } from './pipelines.ts';
import { createStopwatch, timeInterleaved } from './stopwatch.ts';

/** Bytes of a vec4<u32>. */
const VECTOR = 16;
/** Larger than caches, where the device's buffers may be. */
const COPIED_BYTES = 2 ** 26;
const ROUNDS = 5;

/** Copies one buffer to another. */
interface Copy {
  encode(pass: GPUComputePassEncoder): void;
  dispose(): void;
}

async function prepareCopy(device: GPUDevice, vectors: number): Promise<Copy> {
  const label = `copy of ${vectors * VECTOR} bytes`;
  const workgroups = Math.min(Math.ceil(vectors / COPY_WORKGROUP), 4096);
  const { pipeline, layout } = await new PipelineCache(device).kernel(label, copyWgsl(vectors, workgroups), [
    'read',
    'write',
  ]);
  const buffers: GPUBuffer[] = [];
  const dispose = () => {
    for (const buffer of buffers) buffer.destroy();
  };
  try {
    const bindGroup = await guarded(device, `preparing a ${label}`, () => {
      for (let i = 0; i < 2; i++) {
        buffers.push(device.createBuffer({ label, size: vectors * VECTOR, usage: bufferUsage.storage }));
      }
      const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
      return device.createBindGroup({ label, layout, entries });
    });
    return {
      encode(pass) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(workgroups);
      },
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/**
 * Memory traffic in GB/s, read and written bytes both counted: the best of five copies of 64 MiB, by the device's timestamps where it has them,
 * else by the clock around a submit.
 *
 * @throws {DeviceError} out of memory, or the device is lost
 */
export async function measureTraffic({
  device,
  timestamps,
}: Pick<OpenDevice, 'device' | 'timestamps'>): Promise<number> {
  const bytes = Math.min(
    COPIED_BYTES,
    device.limits.maxStorageBufferBindingSize,
    device.limits.maxBufferSize,
  );
  const vectors = Math.floor(bytes / VECTOR);
  const copy = await prepareCopy(device, vectors);
  const stopwatch = createStopwatch(device, timestamps);
  try {
    const [{ samples }] = await timeInterleaved(stopwatch, [copy], {
      rounds: ROUNDS,
      encode: (pass) => copy.encode(pass),
    });
    return (2 * vectors * VECTOR) / Math.min(...samples) / 1e6;
  } finally {
    stopwatch.dispose();
    copy.dispose();
  }
}

/** Dispatches of a short and a long pass: what they differ by is the cost of dispatches alone, without that of the submit. */
const SHORT = 32;
const LONG = 288;

/**
 * Microseconds that a dispatch costs whatever it does: the wall time of a pass of 288 dispatches, from its encoding until the device is done,
 * less that of one of 32, the least of five each. A dispatch copies 16 bytes, to the same place as the one before it, so each waits for
 * the last as in a network. Wall time, since a small network waits for the calls of the API as well as for the device.
 *
 * @throws {DeviceError} out of memory, or the device is lost
 */
export async function measureDispatch({ device }: Pick<OpenDevice, 'device'>): Promise<number> {
  const copy = await prepareCopy(device, 1);
  const time = async (dispatches: number) => {
    const start = performance.now();
    const encoder = device.createCommandEncoder({ label: 'dispatches' });
    const pass = encoder.beginComputePass();
    for (let i = 0; i < dispatches; i++) copy.encode(pass);
    pass.end();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
  try {
    let [short, long] = [Infinity, Infinity];
    // The first round warms up: a round more than is counted.
    for (let round = 0; round <= ROUNDS; round++) {
      const [one, other] = [await time(SHORT), await time(LONG)];
      if (round === 0) continue;
      [short, long] = [Math.min(short, one), Math.min(long, other)];
    }
    return (Math.max(0, long - short) * 1e3) / (LONG - SHORT);
  } finally {
    copy.dispose();
  }
}
