/** What a device can do at best: multiply-adds a second from registers, by arithmetic family. */
import { PEAK_WORKGROUP, peakMacsPerStep, peakWgsl } from '../../shaders/peak.wgsl.ts';
import type { ArithmeticFamily } from '../ops/gpu-kernel.ts';
import { bufferUsage } from './flags.ts';
import { guarded } from './guard.ts';
import type { PipelineCache } from './pipelines.ts';
import { timeInterleaved } from './stopwatch.ts';
import type { Stopwatch } from './stopwatch.ts';

/** Steps of an invocation: its start and end are then below a hundredth. */
const steps = 512;
/** Sizes that are tried, in workgroups: from what fills two CPU cores to what fills the largest GPUs. */
const sizes = [16, 256, 4096, 65535];
/** A size that takes as long as this fills the device; larger ones would only take longer. */
const fullMs = 4;
const rounds = 5;

/**
 * GMAC/s of one arithmetic family. The best of several rounds: what slows a round down is not the device.
 * @throws {DeviceError} out of memory, or the device is lost
 */
export async function measurePeak(
  device: GPUDevice,
  pipelines: PipelineCache,
  stopwatch: Stopwatch,
  family: Exclude<ArithmeticFamily, 'none'>,
): Promise<number> {
  let best = 0;
  for (const workgroups of sizes) {
    const label = `peak ${family}`;
    const { pipeline, layout } = await pipelines.kernel(label, peakWgsl(family, steps, workgroups), [
      'read',
      'write',
    ]);
    const buffers: GPUBuffer[] = [];
    try {
      const bindGroup = await guarded(device, `preparing ${label}`, () => {
        for (const size of [16, workgroups * PEAK_WORKGROUP * 4]) {
          buffers.push(
            device.createBuffer({ label, size, usage: bufferUsage.storage | bufferUsage.copyDst }),
          );
        }
        device.queue.writeBuffer(
          buffers[0],
          0,
          new Uint32Array([0x1234567, 0x89abcdef, 0x2468ace, 0x13579bd]),
        );
        const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
        return device.createBindGroup({ label, layout, entries });
      });
      const [timed] = await timeInterleaved(stopwatch, [bindGroup], {
        rounds,
        encode(pass) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, bindGroup);
          pass.dispatchWorkgroups(workgroups);
        },
      });
      const ms = Math.min(...timed.samples);
      const macs = peakMacsPerStep(family) * steps * workgroups * PEAK_WORKGROUP;
      best = Math.max(best, macs / ms / 1e6);
      if (ms >= fullMs) break;
    } finally {
      for (const buffer of buffers) buffer.destroy();
    }
  }
  return best;
}
