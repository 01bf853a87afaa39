/** Interleaved timing on a clock that is told what to say. */
import { describe, expect, test } from 'vitest';
import { timeInterleaved, type Stopwatch } from '../../src/webgpu/stopwatch.ts';
import { fastest } from '../../src/webgpu/tuner.ts';

/** One that rounds as browsers do, to 0.1 ms, and says that its first passes took `delays` longer. */
function roundingStopwatch(msOf: Readonly<Record<string, number>>, delays: number[] = []) {
  const passes: string[][] = [];
  const stopwatch: Stopwatch = {
    method: 'timestamp-query',
    time(encode) {
      const items: string[] = [];
      encode(items as unknown as GPUComputePassEncoder);
      passes.push(items);
      const ms = items.reduce((sum, item) => sum + msOf[item], delays.shift() ?? 0);
      return Promise.resolve(Math.round(ms * 10) / 10);
    },
    dispose: () => undefined,
  };
  return { stopwatch, passes };
}

const encode = (pass: GPUComputePassEncoder, item: string): void => {
  (pass as unknown as string[]).push(item);
};

describe('timeInterleaved', () => {
  test('repeats what is too short for the clock', async () => {
    const { stopwatch } = roundingStopwatch({ short: 0.02, long: 7 });
    const timed = await timeInterleaved(stopwatch, ['short', 'long'], { rounds: 3, encode });
    expect(timed[0].samples).toHaveLength(3);
    for (const ms of timed[0].samples) expect(ms).toBeCloseTo(0.02, 3);
    expect(timed[1].samples).toEqual([7, 7, 7]);
  });

  test('is not misled by a first pass that took too long by chance', async () => {
    const { stopwatch } = roundingStopwatch({ short: 0.02 }, [5]);
    const [{ samples }] = await timeInterleaved(stopwatch, ['short'], { rounds: 3, encode });
    expect(samples).toHaveLength(3);
    for (const ms of samples) expect(ms).toBeCloseTo(0.02, 3);
  });

  test('ends with what no repetition makes long enough', async () => {
    const { stopwatch, passes } = roundingStopwatch({ nothing: 0 });
    const [{ samples }] = await timeInterleaved(stopwatch, ['nothing'], { rounds: 2, encode });
    expect(samples).toEqual([0, 0]);
    expect(passes.map(({ length }) => length)).toEqual([1, 256, 256]);
  });

  test('takes turns, and leaves out after the first round what is slow, but no reference', async () => {
    const { stopwatch, passes } = roundingStopwatch({ best: 3, slow: 7, reference: 9 });
    const timed = await timeInterleaved(stopwatch, ['best', 'slow', 'reference'], {
      rounds: 2,
      encode,
      dropSlowerThan: 2,
      isReference: (item) => item === 'reference',
    });
    expect(timed.map(({ samples }) => samples)).toEqual([[3, 3], [7], [9, 9]]);
    expect(passes.slice(3).map(([item]) => item)).toEqual(['best', 'slow', 'reference', 'best', 'reference']);
  });

  test('stops when it is told to', async () => {
    const { stopwatch, passes } = roundingStopwatch({ item: 3 });
    const controller = new AbortController();
    const run = timeInterleaved(stopwatch, ['item'], {
      rounds: 9,
      encode,
      signal: controller.signal,
      onSample: () => controller.abort(),
    });
    await expect(run).rejects.toThrow('abort');
    expect(passes).toHaveLength(2);
  });
});

describe('fastest', () => {
  test('is the least median, whatever the order and the outliers', async () => {
    const timed = [
      { item: 'slow', samples: [4, 4, 4] },
      { item: 'fast', samples: [9, 3, 3] },
      { item: 'uneven', samples: [1, 5, 5] },
    ];
    for (const order of [timed, timed.toReversed()]) expect(fastest(order, 3)).toBe('fast');
    const { stopwatch } = roundingStopwatch({ slow: 4, fast: 3, slower: 5 });
    const measured = await timeInterleaved(stopwatch, ['slow', 'fast', 'slower'], { rounds: 3, encode });
    expect(fastest(measured, 3)).toBe('fast');
  });

  test('is none of those that were left out early, and the first of equals', () => {
    const timed = [
      { item: 'left out', samples: [1] },
      { item: 'default', samples: [2, 2] },
      { item: 'as fast', samples: [2, 2] },
    ];
    expect(fastest(timed, 2)).toBe('default');
  });
});
