/** Dynamic batching, with a runner that answers when it is told to. */
import { describe, expect, test } from 'vitest';
import { Batcher, type BatcherOptions, batchSizes, QueueFullError } from '../../src/serve/batcher.ts';
import type { Unit, UnitResult } from '../../src/serve/units.ts';

const unit = (value: number): Unit => ({ kind: 'file', bytes: Uint8Array.of(value) });
const units = (...values: number[]) => values.map(unit);
const never = new AbortController().signal;
const valueOf = (one: Unit) => (one.kind === 'file' ? one.bytes[0] : -1);

/** Answers each unit with its own value as an error text. */
function fakeRunner() {
  const batches: {
    readonly values: readonly number[];
    readonly signal: AbortSignal;
    finish(): void;
    fail(error: Error): void;
  }[] = [];
  let busy = 0;
  return {
    batches,
    up: true,
    get leastBusy() {
      return this.up ? busy : undefined;
    },
    run(some: readonly Unit[], signal: AbortSignal): Promise<readonly UnitResult[]> {
      busy++;
      return new Promise<readonly UnitResult[]>((resolve, reject) => {
        batches.push({
          values: some.map(valueOf),
          signal,
          finish: () => resolve(some.map((one) => ({ error: String(valueOf(one)) }))),
          fail: reject,
        });
      }).finally(() => busy--);
    },
  };
}

function setUp(options: Partial<BatcherOptions> = {}) {
  const runner = fakeRunner();
  const batcher = new Batcher(runner, { sizes: [1, 2, 4], waitMs: 0, capacity: 16, ...options });
  return { runner, batcher, sent: () => runner.batches.map(({ values }) => values) };
}

const tick = () => new Promise((resolve) => setTimeout(resolve));

test('batch sizes are powers of two and the most', () => {
  expect(batchSizes(1)).toEqual([1]);
  expect(batchSizes(8)).toEqual([1, 2, 4, 8]);
  expect(batchSizes(6)).toEqual([1, 2, 4, 6]);
});

describe('a batcher', () => {
  test('sends the first at once, full batches ahead, and what is left when the process is idle', async () => {
    const { runner, batcher, sent } = setUp();
    const answers = [1, 2, 3, 4, 5, 6].map((value) => batcher.submit(units(value), never));
    // 1 goes alone; 2 to 5 are a full batch, and wait in the process; 6 waits here.
    expect(sent()).toEqual([[1], [2, 3, 4, 5]]);
    expect([batcher.waiting, batcher.running]).toEqual([1, 5]);
    runner.batches[1].finish();
    await tick();
    expect(sent()).toHaveLength(2);
    runner.batches[0].finish();
    await tick();
    expect(sent()[2]).toEqual([6]);
    runner.batches[2].finish();
    const results = await Promise.all(answers);
    expect(results.map(([result]) => result)).toEqual(
      [1, 2, 3, 4, 5, 6].map((value) => ({ error: String(value) })),
    );
    expect([batcher.waiting, batcher.running]).toEqual([0, 0]);
  });

  test('spreads a request over batches and answers it in order', async () => {
    const { runner, batcher, sent } = setUp();
    const answer = batcher.submit(units(1, 2, 3, 4, 5, 6, 7), never);
    expect(sent()).toEqual([[1, 2, 3, 4]]);
    runner.batches[0].finish();
    await tick();
    runner.batches[1].finish();
    await tick();
    runner.batches[2].finish();
    expect(sent()).toEqual([[1, 2, 3, 4], [5, 6], [7]]);
    expect(await answer).toEqual([1, 2, 3, 4, 5, 6, 7].map((value) => ({ error: String(value) })));
  });

  test('waits for others no longer than it may', async () => {
    const { batcher, sent } = setUp({ waitMs: 30 });
    const start = performance.now();
    void batcher.submit(units(1), never);
    void batcher.submit(units(2), never);
    await tick();
    expect(sent()).toEqual([]);
    await expect.poll(sent).toEqual([[1, 2]]);
    expect(performance.now() - start).toBeGreaterThan(25);
    // A full one does not wait.
    void batcher.submit(units(3, 4, 5, 6), never);
    expect(sent()).toEqual([
      [1, 2],
      [3, 4, 5, 6],
    ]);
  });

  test('gives clients that have just been answered the time to send what comes next', async () => {
    const { runner, batcher, sent } = setUp({ waitMs: 30 });
    void batcher.submit(units(1, 2, 3, 4), never);
    void batcher.submit(units(5), never);
    await new Promise((resolve) => setTimeout(resolve, 40));
    runner.batches[0].finish();
    await tick();
    expect(sent()).toHaveLength(1);
    void batcher.submit(units(6, 7, 8), never);
    expect(sent()[1]).toEqual([5, 6, 7, 8]);
  });

  test('refuses what its queue cannot hold, with the time to try again', async () => {
    const { runner, batcher } = setUp({ capacity: 5 });
    void batcher.submit(units(1), never);
    void batcher.submit(units(2, 3, 4), never);
    expect(() => batcher.submit(units(5, 6, 7), never)).toThrow(QueueFullError);
    expect(() => batcher.submit(units(1, 2, 3, 4, 5, 6), never)).toThrow(/more than the queue holds/);
    expect(batcher.retryAfter).toBe(1);
    expect(batcher.waiting).toBe(3);
    runner.batches[0].finish();
    await tick();
    expect(batcher.waiting).toBe(1);
  });

  test('forgets requests whose callers have left, and ends batches that nobody waits for', async () => {
    const { runner, batcher, sent } = setUp();
    const [first, second] = [new AbortController(), new AbortController()];
    const gone = new Error('gone');
    const answers = [batcher.submit(units(1), first.signal), batcher.submit(units(2, 3), second.signal)];
    const third = batcher.submit(units(4), never);
    second.abort(gone);
    await expect(answers[1]).rejects.toBe(gone);
    expect(batcher.waiting).toBe(1);
    expect(runner.batches[0].signal.aborted).toBe(false);
    first.abort(gone);
    await expect(answers[0]).rejects.toBe(gone);
    expect(runner.batches[0].signal.aborted).toBe(true);
    runner.batches[0].fail(gone);
    await tick();
    expect(sent()).toEqual([[1], [4]]);
    runner.batches[1].finish();
    expect(await third).toEqual([{ error: '4' }]);
  });

  test('fails the requests of a batch that failed, and no others', async () => {
    const { runner, batcher, sent } = setUp();
    const answers = [batcher.submit(units(1, 2, 3, 4, 5), never), batcher.submit(units(6), never)];
    runner.batches[0].fail(new Error('lost'));
    await expect(answers[0]).rejects.toThrow('lost');
    // 5 was of the same request, and is not run.
    expect(sent()).toEqual([[1, 2, 3, 4], [6]]);
    runner.batches[1].finish();
    expect(await answers[1]).toEqual([{ error: '6' }]);
  });

  test('keeps its queue while there is no process', async () => {
    const { runner, batcher, sent } = setUp();
    runner.up = false;
    const answer = batcher.submit(units(1), never);
    expect(sent()).toEqual([]);
    runner.up = true;
    batcher.pump();
    runner.batches[0].finish();
    expect(await answer).toEqual([{ error: '1' }]);
  });
});
