/** Random small graphs, end to end through a session: all their tensors against the reference. */
import * as fc from 'fast-check';
import { createReferenceSession } from '../../../src/reference/session.ts';
import { createWebgpuSession } from '../../../src/webgpu/backend.ts';
import { randomProgram } from '../../support/random-program.ts';
import { compareBuffers } from '../../support/report.ts';
import { Checks, describeAdapter, randomInputs, registry, withDevice } from './suite.ts';
import type { Suite } from './suite.ts';

/** Repeats the same programs on every machine. */
const seed = 20_261_122;

export const programs =
  (runs: number): Suite =>
  () =>
    withDevice(async (open) => {
      const checks = new Checks();
      await checks.part('random programs', () =>
        fc.assert(
          fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 3 }), async (programSeed, batch) => {
            await compareProgram(checks, open.device, programSeed, batch);
          }),
          // A smaller seed is no simpler program: shrinking would only repeat the work.
          { seed, numRuns: runs, endOnFailure: true },
        ),
      );
      return { adapter: describeAdapter(open), cases: checks.cases, failures: checks.failures };
    });

async function compareProgram(
  checks: Checks,
  device: GPUDevice,
  programSeed: number,
  batch: number,
): Promise<void> {
  const program = randomProgram(programSeed);
  const inputs = randomInputs(program, batch, programSeed);
  const tensors = program.tensors.map(({ id }) => id);
  using reference = createReferenceSession(program, registry);
  using session = await createWebgpuSession(program, registry, { device, batches: [] });
  const expected = await reference.run(inputs, { batch, tensors });
  // Once with every tensor kept, and once as runs are: memory reused.
  const kept = await session.run(inputs, { batch, tensors });
  const plain = await session.run(inputs, { batch });
  for (const [variant, { tensors: actual }] of Object.entries({ kept, plain })) {
    for (const [id, buffer] of actual) {
      const report = compareBuffers(
        { kernel: 'random program', variant, seed: programSeed },
        program.tensors[id],
        batch,
        buffer,
        expected.tensors.get(id)!,
      );
      checks.that(report === undefined, report ?? '');
      if (report) throw new Error(report);
    }
  }
}
