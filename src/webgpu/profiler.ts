/** GPU time of each operation, and what the device could do at best. */
import type { AsyncOptions } from '../progress.ts';
import type { ArithmeticFamily } from '../ops/gpu-kernel.ts';
import { measurePeak } from './peak.ts';
import { encode } from './prepared-plan.ts';
import type { PreparedDispatch } from './prepared-plan.ts';
import type { WebgpuSession } from './session.ts';
import { createStopwatch, timeInterleaved } from './stopwatch.ts';

export interface WebgpuProfile {
  readonly method: 'timestamp-query' | 'repetition';
  /** Milliseconds of each of the program's operations, one sample a repetition. */
  readonly samples: readonly (readonly number[])[];
  /** GMAC/s of each arithmetic family that the plan uses, registers only. */
  readonly peak: Readonly<Partial<Record<ArithmeticFamily, number>>>;
}

/**
 * Times each operation of a plan alone, in turn and repeatedly. Values don't matter to the time: whatever lies in the arenas is taken.
 * @throws {DeviceError} the device is lost
 */
export async function profileWebgpu(
  session: WebgpuSession,
  batch: number,
  repetitions: number,
  { signal, onProgress }: AsyncOptions,
): Promise<WebgpuProfile> {
  const runtime = await session.runtime();
  const { device, timestamps } = runtime.open;
  return runtime.settle(
    runtime.withPlan(runtime.largestPart(batch), [], onProgress, async ({ prepared }) => {
      const stopwatch = createStopwatch(device, timestamps);
      try {
        const { operations, dispatches } = prepared.plan;
        const ofOperation: PreparedDispatch[][] = operations.map(() => []);
        for (const [index, { operation }] of dispatches.entries()) {
          ofOperation[operation].push(prepared.dispatches[index]);
        }
        const parts = Math.ceil(batch / prepared.plan.batch);
        const timed = await timeInterleaved(stopwatch, ofOperation, {
          rounds: repetitions,
          encode,
          signal,
          onSample: (done, total) => onProgress?.({ stage: 'profile', done, total }),
        });
        const peak: Partial<Record<ArithmeticFamily, number>> = {};
        for (const family of new Set(operations.map(({ variant }) => variant.family))) {
          signal?.throwIfAborted();
          if (family !== 'none')
            peak[family] = await measurePeak(device, runtime.pipelines, stopwatch, family);
        }
        return {
          method: stopwatch.method,
          samples: timed.map(({ samples }) => samples.map((ms) => ms * parts)),
          peak,
        };
      } finally {
        stopwatch.dispose();
      }
    }),
  );
}
