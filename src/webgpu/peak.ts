/** What a device can do at best: multiply-adds from registers, by arithmetic family. */
import { PEAK_WORKGROUP, peakMacsPerStep, peakWgsl } from '../../shaders/peak.wgsl.ts';
import type { ArithmeticFamily } from '../ops/gpu-kernel.ts';
import { bufferUsage } from './flags.ts';
import { guarded } from './guard.ts';
import type { OpenDevice } from './device.ts';
import { PipelineCache } from './pipelines.ts';
import { createStopwatch, timeInterleaved } from './stopwatch.ts';
import type { Stopwatch } from './stopwatch.ts';

/** Steps of an invocation: its start and end are then below a hundredth. */
const steps = 512;
/** Sizes that are tried, in workgroups: from what fills two CPU cores to what fills the largest GPUs. */
const sizes = [16, 256, 4096, 65535];
/** A size that takes as long as this fills the device; larger ones would only take longer. */
const fullMs = 4;
const rounds = 2;

/** A dispatch that does nothing but multiply and add in registers, long enough to fill the device. */
export interface PeakProbe {
  readonly family: Exclude<ArithmeticFamily, 'none'>;
  readonly macs: number;
  encode(pass: GPUComputePassEncoder): void;
  dispose(): void;
}

/**
 * A probe of one arithmetic family, of the size that fills the device. Time it in turn with what is compared with it: devices change their
 * clock.
 * @throws {DeviceError} out of memory, or the device is lost
 */
export async function preparePeak(
  device: GPUDevice,
  pipelines: PipelineCache,
  stopwatch: Stopwatch,
  family: PeakProbe['family'],
): Promise<PeakProbe> {
  for (const [index, workgroups] of sizes.entries()) {
    const probe = await probeOf(device, pipelines, family, workgroups);
    try {
      const [{ samples }] = await timeInterleaved(stopwatch, [probe], {
        rounds,
        encode: (pass) => probe.encode(pass),
      });
      if (Math.min(...samples) >= fullMs || index === sizes.length - 1) return probe;
    } catch (error) {
      probe.dispose();
      throw error;
    }
    probe.dispose();
  }
  throw new Error('there is a last size');
}

/**
 * The peak of each family in 10⁹ multiply-adds a second, the best of a few runs.
 * @throws {DeviceError} out of memory, or the device is lost
 */
export async function measurePeaks(
  { device, timestamps }: Pick<OpenDevice, 'device' | 'timestamps'>,
  families: readonly PeakProbe['family'][],
): Promise<Partial<Record<PeakProbe['family'], number>>> {
  const pipelines = new PipelineCache(device);
  const stopwatch = createStopwatch(device, timestamps);
  const peaks: Partial<Record<PeakProbe['family'], number>> = {};
  try {
    for (const family of families) {
      const probe = await preparePeak(device, pipelines, stopwatch, family);
      try {
        const [{ samples }] = await timeInterleaved(stopwatch, [probe], {
          rounds,
          encode: (pass) => probe.encode(pass),
        });
        peaks[family] = probe.macs / Math.min(...samples) / 1e6;
      } finally {
        probe.dispose();
      }
    }
  } finally {
    stopwatch.dispose();
  }
  return peaks;
}

async function probeOf(
  device: GPUDevice,
  pipelines: PipelineCache,
  family: PeakProbe['family'],
  workgroups: number,
): Promise<PeakProbe> {
  const label = `peak ${family}`;
  const { pipeline, layout } = await pipelines.kernel(label, peakWgsl(family, steps, workgroups), [
    'read',
    'write',
  ]);
  const buffers: GPUBuffer[] = [];
  const dispose = () => {
    for (const buffer of buffers) buffer.destroy();
  };
  try {
    const bindGroup = await guarded(device, `preparing ${label}`, () => {
      for (const size of [16, workgroups * PEAK_WORKGROUP * 4]) {
        buffers.push(device.createBuffer({ label, size, usage: bufferUsage.storage | bufferUsage.copyDst }));
      }
      device.queue.writeBuffer(buffers[0], 0, new Uint32Array([0x1234567, 0x89abcdef, 0x2468ace, 0x13579bd]));
      const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
      return device.createBindGroup({ label, layout, entries });
    });
    return {
      family,
      macs: peakMacsPerStep(family) * steps * workgroups * PEAK_WORKGROUP,
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
