/** GPU time of each operation, and what the device could do at best. */
import type { AsyncOptions } from '../progress.ts';
import type { ArithmeticFamily } from '../ops/gpu-kernel.ts';
import { ReferenceTensors } from '../ops/reference-tensors.ts';
import type { PlannedOperation } from '../schedule/execution-plan.ts';
import type { Runtime } from './runtime.ts';
import { median } from 'simple-statistics';
import { preparePeak } from './peak.ts';
import type { PeakProbe } from './peak.ts';
import { encode } from './prepared-plan.ts';
import type { PreparedDispatch } from './prepared-plan.ts';
import type { SessionProfile } from '../schedule/session.ts';
import { createStopwatch, timeInterleaved } from './stopwatch.ts';

/**
 * Times each operation of a plan alone, in turn and repeatedly. Values don't matter to the time: whatever lies in the arenas is taken.
 * @throws {DeviceError} the device is lost
 */
export async function profileWebgpu(
  runtime: Runtime,
  batch: number,
  repetitions: number,
  { signal, onProgress }: AsyncOptions,
): Promise<SessionProfile> {
  const { device, timestamps } = runtime.open;
  return runtime.settle(
    runtime.withPlan(runtime.largestPart(batch), [], onProgress, async ({ prepared }) => {
      const stopwatch = createStopwatch(device, timestamps);
      const probes: PeakProbe[] = [];
      try {
        const { operations, dispatches } = prepared.plan;
        const ofOperation: PreparedDispatch[][] = operations.map(() => []);
        for (const [index, { operation }] of dispatches.entries()) {
          ofOperation[operation].push(prepared.dispatches[index]);
        }
        const parts = Math.ceil(batch / prepared.plan.batch);
        const families = new Set(operations.flatMap(({ variant }) => variant?.family ?? []));
        for (const family of families) {
          signal?.throwIfAborted();
          if (family !== 'none') probes.push(await preparePeak(device, runtime.pipelines, stopwatch, family));
        }
        const onHost = timeOnHost(operations, runtime, prepared.plan.batch, repetitions, signal);
        const timed = await timeInterleaved<readonly PreparedDispatch[] | PeakProbe>(
          stopwatch,
          [...ofOperation, ...probes],
          {
            rounds: repetitions,
            encode: (pass, item) => {
              if ('macs' in item) item.encode(pass);
              else encode(pass, item);
            },
            signal,
            onSample: (done, total) => onProgress?.({ stage: 'profile', done, total }),
          },
        );
        const peak: Partial<Record<ArithmeticFamily, number>> = {};
        for (const { item, samples } of timed) {
          if ('macs' in item) peak[item.family] = item.macs / median(samples) / 1e6;
        }
        return {
          method: stopwatch.method,
          samples: operations.map((operation, index) =>
            (onHost.get(operation) ?? timed[index].samples).map((ms) => ms * parts),
          ),
          peak,
        };
      } finally {
        for (const probe of probes) probe.dispose();
        stopwatch.dispose();
      }
    }),
  );
}

/** Times the operations of host stages, whose inputs are zeros. */
function timeOnHost(
  operations: readonly PlannedOperation[],
  { program, operators }: Runtime,
  batch: number,
  repetitions: number,
  signal: AbortSignal | undefined,
): ReadonlyMap<PlannedOperation, readonly number[]> {
  const samples = new Map<PlannedOperation, number[]>();
  const tensors = new ReferenceTensors(program.tensors, batch);
  for (const planned of operations) {
    if (planned.variant) continue;
    const { operation } = planned;
    for (const id of operation.inputs) if (!tensors.has(id)) tensors.allocate(id);
    const times: number[] = [];
    for (let repetition = 0; repetition < repetitions; repetition++) {
      signal?.throwIfAborted();
      const start = performance.now();
      tensors.run(operation, operators);
      times.push(performance.now() - start);
    }
    samples.set(planned, times);
  }
  return samples;
}
