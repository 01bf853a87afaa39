import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesPerStep, planMemory } from '../../src/schedule/memory.ts';
import type { Allocation, MemoryPlan, PlannedTensor, Step } from '../../src/schedule/plan.ts';
import { plannedTensors, stepsOf } from '../../src/schedule/steps.ts';
import { createRandom } from '../support/random.ts';
import { randomProgram } from '../support/random-program.ts';
import { vgg16Shapes } from '../support/vgg16-shapes.ts';

/** What is wrong with a plan, in words; empty where it is right. */
function faultsOf(plan: MemoryPlan, steps: readonly Step[], alignment: number, separate: boolean): string[] {
  const faults: string[] = [];
  const byId = new Map(plan.allocations.map((allocation) => [allocation.id, allocation]));
  const end = (a: Allocation) => a.offset + a.bytes;
  for (const a of plan.allocations) {
    if (a.offset % alignment !== 0) faults.push(`${a.name} is not aligned`);
    if (end(a) > plan.arenas[a.arena]) faults.push(`${a.name} leaves its arena`);
    for (const b of plan.allocations) {
      if (a.id >= b.id || a.arena !== b.arena) continue;
      const alive = a.firstStep <= b.lastStep && b.firstStep <= a.lastStep;
      if (alive && a.offset < end(b) && b.offset < end(a)) faults.push(`${a.name} and ${b.name} overlap`);
    }
  }
  steps.forEach(({ name, reads, writes }, step) => {
    for (const id of [...reads, ...writes]) {
      const { firstStep, lastStep } = byId.get(id)!;
      if (step < firstStep || step > lastStep)
        faults.push(`${name} touches tensor ${id} outside its lifetime`);
    }
    for (const read of reads) {
      for (const write of writes) {
        if (separate && byId.get(read)!.arena === byId.get(write)!.arena) {
          faults.push(`${name} reads and writes arena ${byId.get(read)!.arena}`);
        }
      }
    }
  });
  if (plan.peakBytes < plan.lowerBoundBytes) faults.push('the peak is below the lower bound');
  if (Math.max(0, ...bytesPerStep(plan, steps)) !== plan.lowerBoundBytes) faults.push('wrong lower bound');
  if (!separate && plan.arenas.length > 1) faults.push('more than one arena');
  return faults;
}

/** A graph with branches, several results a step, and sizes from 1 byte on. */
function randomSteps(seed: number): { tensors: PlannedTensor[]; steps: Step[] } {
  const random = createRandom(seed);
  const tensors: PlannedTensor[] = [];
  const steps: Step[] = [];
  const write = () => {
    const id = tensors.length;
    tensors.push({
      id,
      name: `t${id}`,
      bytes: random.chance(0.5) ? random.int(1, 64) * 256 : random.int(1, 9999),
    });
    return id;
  };
  for (let i = random.int(1, 30); i > 0; i--) {
    const reads = tensors.length
      ? Array.from({ length: random.int(0, 4) }, () => random.int(0, tensors.length - 1))
      : [];
    steps.push({ name: `s${steps.length}`, reads, writes: Array.from({ length: random.int(1, 3) }, write) });
  }
  return { tensors, steps };
}

describe('planMemory', () => {
  it('keeps live tensors and, where asked, reads and writes apart, on random graphs', () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.boolean(), fc.constantFrom(1, 16, 256), (seed, separate, alignment) => {
        const { tensors, steps } = randomSteps(seed);
        const plan = planMemory(tensors, steps, { alignment, separate });
        expect(faultsOf(plan, steps, alignment, separate)).toEqual([]);
        expect(plan.allocations).toHaveLength(tensors.length);
      }),
      { numRuns: 400 },
    );
  });

  it('keeps them apart on random programs, and needs little more than the lower bound in one arena', () => {
    let peak = 0;
    let bound = 0;
    for (let seed = 0; seed < 100; seed++) {
      const program = randomProgram(seed, 12);
      const steps = stepsOf(program);
      const tensors = plannedTensors(program, 1 + (seed % 3));
      for (const separate of [true, false]) {
        const plan = planMemory(tensors, steps, { alignment: 16, separate });
        expect(faultsOf(plan, steps, 16, separate)).toEqual([]);
        if (!separate) {
          peak += plan.peakBytes;
          bound += plan.lowerBoundBytes;
        }
      }
    }
    expect(peak / bound).toBeLessThan(1.05);
  });

  it('needs at most 1.15 times the lower bound for fused VGG16 at batch 1', () => {
    const program = vgg16Shapes();
    const plan = planMemory(plannedTensors(program, 1), stepsOf(program), { alignment: 256, separate: true });
    expect(plan.lowerBoundBytes).toBe((64 + 16) * 1024);
    expect(plan.peakBytes).toBeLessThanOrEqual(1.15 * plan.lowerBoundBytes);
    expect(plan.arenas).toHaveLength(2);
    expect(plan.naiveBytes).toBeGreaterThan(2 * plan.peakBytes);
  });

  it('gives the same plan for the same program', () => {
    const { tensors, steps } = randomSteps(5);
    const plan = () => planMemory(tensors, steps, { alignment: 256, separate: true });
    expect(plan()).toEqual(plan());
  });

  it('keeps inputs from the first step and outputs to the last', () => {
    const program = vgg16Shapes();
    const steps = stepsOf(program);
    const plan = planMemory(plannedTensors(program, 1), steps, { alignment: 4, separate: false });
    const of = (id: number) => plan.allocations.find((allocation) => allocation.id === id)!;
    expect(of(program.inputs[0].tensor).firstStep).toBe(0);
    expect(of(program.outputs[0].tensor).lastStep).toBe(steps.length - 1);
  });

  it('refuses steps that name unknown tensors, or read what they write', () => {
    const tensors = [{ id: 0, name: 'a', bytes: 4 }];
    const options = { alignment: 4, separate: true };
    expect(() => planMemory(tensors, [{ name: 's', reads: [7], writes: [] }], options)).toThrow(
      /step "s" names tensor 7/,
    );
    expect(() => planMemory(tensors, [{ name: 's', reads: [0], writes: [0] }], options)).toThrow(
      /reads and writes/,
    );
  });
});
