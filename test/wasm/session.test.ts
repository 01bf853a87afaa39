/** Sessions: whole programs against the reference, threads, memory, errors, the end of a session. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { platform } from '#platform';
import { DeviceError, InputError } from '../../src/errors.ts';
import type { SessionInput } from '../../src/schedule/session.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import type { Operator } from '../../src/ops/operator.ts';
import type { Conv2dOperation, IntegerProgram, Operation, TensorId } from '../../src/program/program.ts';
import { int8Weights } from '../../src/program/weights.ts';
import { NodeWorker } from '../../src/platform/node/worker.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { loadEngine } from '../../src/wasm/engine.ts';
import { LinearMemory } from '../../src/wasm/memory.ts';
import { createThreadPool } from '../../src/wasm/pool.ts';
import { createWasmSession } from '../../src/wasm/backend.ts';
import type { WasmSession } from '../../src/wasm/session.ts';
import { createProgramBuilder, randomInputs, requantizeBy } from '../support/program-builder.ts';
import { randomProgram } from '../support/random-program.ts';
import { createRandom } from '../support/random.ts';
import { compareBuffers } from '../support/report.ts';

function inputsOf(program: IntegerProgram, batch: number, seed = 1): Map<TensorId, SessionInput> {
  const drawn = randomInputs(program, batch, createRandom(seed));
  return new Map([...drawn].map(([id, data]) => [id, { kind: 'quantized', data }]));
}

const sizeOf = (input: SessionInput): number => (input.kind === 'quantized' ? input.data.byteLength : 0);

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

for (const threads of [1, 2]) {
  test(`random programs, every tensor, batches 1 and 3, ${threads} thread(s)`, async () => {
    const seeds = threads === 1 ? 40 : 8;
    for (let seed = 0; seed < seeds; seed++) {
      const program = randomProgram(seed);
      using session = await createWasmSession(program, { threads });
      using reference = createReferenceSession(program);
      for (const batch of [1, 3]) {
        const inputs = inputsOf(program, batch, seed);
        const all = program.tensors.map(({ id }) => id);
        // Once with every tensor kept, once as in use, where tensors share memory.
        for (const tensors of [all, []]) {
          const expected = await reference.run(inputs, { batch, tensors });
          const actual = await session.run(inputs, { batch, tensors });
          expect([...actual.tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort());
          for (const [id, data] of expected.tensors) {
            const subject = { kernel: program.name, variant: `wasm, ${threads} threads`, seed };
            const report = compareBuffers(subject, program.tensors[id], batch, actual.tensors.get(id)!, data);
            expect(report).toBeUndefined();
          }
        }
      }
    }
  });
}

test('pixels go through the table, overlapping runs do not mix, results are the caller’s own', async () => {
  const program = randomProgram(3);
  const [{ tensor }] = program.inputs;
  const [height, width, channels] = program.tensors[tensor].image;
  const random = createRandom(5);
  const table = random.int8s(channels * 256);
  const others = [...inputsOf(program, 2)].filter(([id]) => id !== tensor);
  const inputs = Array.from({ length: 4 }, () => {
    const pixels = Uint8Array.from({ length: 2 * height * width * channels }, () => random.int(0, 255));
    return new Map<TensorId, SessionInput>([[tensor, { kind: 'pixels', pixels, table }], ...others]);
  });
  using session = await createWasmSession(program, { threads: 2 });
  using reference = createReferenceSession(program);
  const results = await Promise.all(inputs.map((input) => session.run(input, { batch: 2 })));
  for (const [i, input] of inputs.entries()) {
    const expected = await reference.run(input, { batch: 2 });
    for (const [id, data] of expected.tensors) {
      expect(results[i].tensors.get(id)).toEqual(data);
      expect(results[i].tensors.get(id)!.buffer).toBeInstanceOf(ArrayBuffer);
    }
  }
});

test.each([1, 2])(
  'weights are packed at load, %i thread(s): the first run asks for no memory',
  async (threads) => {
    const program = randomProgram(7);
    using session = await createWasmSession(program, { threads, batches: [3, 1] });
    const bytes = session.memoryBytes;
    using empty = await createWasmSession(program, { threads, batches: [] });
    expect(bytes).toBeGreaterThan(empty.memoryBytes);
    for (const batch of [1, 3]) await session.run(inputsOf(program, batch), { batch });
    expect(session.memoryBytes).toBe(bytes);
  },
);

test('memory does not grow over runs, batch sizes and their plans', async () => {
  const program = randomProgram(11);
  using session = await createWasmSession(program, { threads: 1 });
  const round = async () => {
    for (let batch = 12; batch >= 1; batch--) await session.run(inputsOf(program, batch), { batch });
  };
  await round();
  const bytes = session.memoryBytes;
  for (let i = 0; i < 5; i++) await round();
  expect(session.memoryBytes).toBe(bytes);
  expect((await session.plan(1)).plan.memory.arenas.length).toBe(1);
});

test('plans made before the arena grew are made again: batches 1, 8, 4, 1, 4, 8', async () => {
  for (let seed = 0; seed < 12; seed++) {
    const program = randomProgram(seed);
    using session = await createWasmSession(program, { threads: 1 });
    using reference = createReferenceSession(program);
    for (const batch of [1, 8, 4, 1, 4, 8]) {
      const inputs = inputsOf(program, batch, seed + batch);
      const { tensors } = await session.run(inputs, { batch });
      expect(tensors, `seed ${seed}, batch ${batch}`).toEqual(
        (await reference.run(inputs, { batch })).tensors,
      );
    }
  }
});

test.each([1, 2])(
  'runs 1, 2 and 500 give the same bytes, and 2,000 runs hold no more memory than 20: %i thread(s)',
  async (threads) => {
    const program = randomProgram(24, 3);
    using session = await createWasmSession(program, { threads, batches: [1, 2] });
    using reference = createReferenceSession(program);
    const inputs = [1, 2].map((batch) => inputsOf(program, batch, batch));
    const expected = await Promise.all(
      inputs.map(async (input, i) => (await reference.run(input, { batch: i + 1 })).tensors),
    );
    const used = async () => {
      // The memory of buffers is freed beside the running program, and counted by the next collection.
      collectGarbage();
      await sleep(100);
      collectGarbage();
      const { arrayBuffers, external, heapUsed } = process.memoryUsage();
      return { linear: session.memoryBytes, outside: arrayBuffers + external, heap: heapUsed };
    };
    let early = await used();
    for (let run = 1; run <= 2000; run++) {
      // Of two batch sizes in turn, so that each run finds what another has left.
      const i = run % 2;
      const { tensors } = await session.run(inputs[i], { batch: i + 1 });
      if ([1, 2, 20, 499, 500, 2000].includes(run)) expect(tensors, `run ${run}`).toEqual(expected[i]);
      if (run === 20) early = await used();
    }
    const late = await used();
    expect(late.linear).toBe(early.linear);
    // A leak of one input a run would be 1,980 of them.
    const leak = 500 * [...inputs[0].values()].reduce((sum, input) => sum + sizeOf(input), 0);
    expect(late.outside - early.outside).toBeLessThan(leak);
    expect(late.heap - early.heap).toBeLessThan(2 ** 20);
  },
);

test('profile() gives one sample an operation and repetition', async () => {
  const program = randomProgram(4);
  using session = await createWasmSession(program, { threads: 2 });
  const { samples } = await session.profile(2, 3);
  expect(samples.map((times) => times.length)).toEqual(program.operations.map(() => 3));
  expect(samples.flat().every((ms) => ms >= 0)).toBe(true);
});

describe('an operator without a kernel', () => {
  interface Negate extends Operation {
    readonly kind: 'negate';
  }
  const negate: Operator<Negate> = {
    kind: 'negate',
    onnx: [],
    lower: () => undefined,
    macs: () => 0,
    reference({ inputs, output }, context) {
      const x = context.buffer(inputs[0]);
      const y = context.buffer(output);
      for (let i = 0; i < y.length; i++) y[i] = Math.max(-127, Math.min(127, -x[i]));
    },
  };

  test.each([1, 2])('runs as its reference between kernels, %i thread(s)', async (threads) => {
    const builder = createProgramBuilder();
    const input = builder.input([4, 4, 8], 0);
    const middle = builder.tensor([4, 4, 8], 0);
    const output = builder.tensor([4, 4, 8], 0);
    const table = Int8Array.from({ length: 256 }, (_, i) => (i * 7) % 100);
    builder.emit({ kind: 'negate', name: 'negate', inputs: [input.id], output: middle.id });
    builder.emit({
      kind: 'lookup',
      name: 'table',
      inputs: [middle.id],
      output: output.id,
      table,
    } as Operation);
    const program = builder.build('custom');
    const operators = createOperatorRegistry([negate]);
    using session = await createWasmSession(program, { threads, operators });
    using reference = createReferenceSession(program, operators);
    const inputs = inputsOf(program, 2);
    const actual = await session.run(inputs, { batch: 2 });
    expect(actual.tensors).toEqual((await reference.run(inputs, { batch: 2 })).tensors);
  });
});

describe('errors', () => {
  const program = randomProgram(2);
  const [{ tensor }] = program.inputs;

  test('a wrong number of threads, a wrong batch size', async () => {
    for (const count of [0, -1, 1.5, NaN]) {
      await expect(createWasmSession(program, { threads: count })).rejects.toThrow(InputError);
      await expect(createWasmSession(program, { batches: [count] })).rejects.toThrow(InputError);
    }
    await expect(createWasmSession(program, { threads: 1e9 })).rejects.toThrow(InputError);
  });

  test('wrong inputs are refused, and the session stays usable', async () => {
    using session = await createWasmSession(program, { threads: 1 });
    const inputs = inputsOf(program, 1);
    await expect(session.run(new Map(), { batch: 1 })).rejects.toThrow(/is missing/);
    await expect(session.run(inputs, { batch: 0 })).rejects.toThrow(InputError);
    await expect(session.run(inputs, { batch: 2 })).rejects.toThrow(/elements, got/);
    await expect(session.run(inputs, { batch: 1, tensors: [999] })).rejects.toThrow(/no tensor 999/);
    const pixels = new Uint8Array(3);
    const wrongPixels = new Map(inputs).set(tensor, { kind: 'pixels', pixels, table: new Int8Array(1) });
    await expect(session.run(wrongPixels, { batch: 1 })).rejects.toThrow(/pixels, got 3 bytes/);
    await expect(session.run(inputs, { batch: 1 })).resolves.toBeDefined();
  });

  test('a batch that does not fit in memory is refused, and the session stays usable', async () => {
    const builder = createProgramBuilder();
    const input = builder.input([1, 1, 4], 0);
    const output = builder.tensor([1, 1, 4096], 0);
    builder.emit<Conv2dOperation>({
      kind: 'conv2d',
      name: 'wide',
      inputs: [input.id],
      output: output.id,
      kernel: [1, 1],
      stride: [1, 1],
      pads: [0, 0, 0, 0],
      dilation: [1, 1],
      groups: 1,
      weights: int8Weights({ outChannels: 4096, taps: 1, inChannels: 4 }, new Int8Array(4096 * 4)),
      bias: new Int32Array(4096),
      requantize: requantizeBy(4096, () => 0.001, 0),
      pool: false,
      residual: null,
    });
    const wide = builder.build('wide');
    using session = await createWasmSession(wide, { threads: 1 });
    const batch = 2 ** 21;
    const data = { kind: 'quantized', data: new Int8Array(batch * 4) } as const;
    await expect(session.run(new Map([[input.id, data]]), { batch })).rejects.toThrow(/holds at most 524288/);
    await expect(session.run(inputsOf(wide, 1), { batch: 1 })).resolves.toBeDefined();
  });

  test('an aborted signal stops loading and running', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(createWasmSession(program, { threads: 2, signal })).rejects.toThrow('enough');
    using session = await createWasmSession(program, { threads: 1 });
    await expect(session.run(inputsOf(program, 1), { batch: 1, signal })).rejects.toThrow('enough');
  });

  test.each([1, 2])('a signal that is aborted during a run ends it: %i threads', async (threads) => {
    const controller = new AbortController();
    let ran: string[] = [];
    // Operators without a kernel run on this thread: the first of two aborts.
    const custom: Operator = {
      kind: 'custom',
      onnx: [],
      lower: () => undefined,
      macs: () => 0,
      reference({ name, inputs, output }, context) {
        ran.push(name);
        if (name === 'first') controller.abort(new Error('enough'));
        context.buffer(output).set(context.buffer(inputs[0]));
      },
    };
    const builder = createProgramBuilder();
    const tensors = [builder.input([4, 4, 8], 0), builder.tensor([4, 4, 8], 0), builder.tensor([4, 4, 8], 0)];
    ['first', 'second'].forEach((name, i) =>
      builder.emit({ kind: 'custom', name, inputs: [tensors[i].id], output: tensors[i + 1].id }),
    );
    const copies = builder.build('copies');
    using session = await createWasmSession(copies, { threads, operators: createOperatorRegistry([custom]) });
    const inputs = inputsOf(copies, 1);
    const { signal } = controller;
    await expect(session.run(inputs, { batch: 1, signal })).rejects.toThrow('enough');
    expect(ran).toEqual(['first']);
    ran = [];
    const { tensors: outputs } = await session.run(inputs, { batch: 1 });
    expect(ran).toEqual(['first', 'second']);
    const input = inputs.get(tensors[0].id)!;
    expect(outputs.get(tensors[2].id)).toEqual(input.kind === 'quantized' && input.data);
  });

  test.each([
    [1, 0],
    [1, 1],
    [2, 0],
    [2, 1],
  ])(
    'dispose() rejects runs in flight and later ones, and is idempotent: %i threads, %i turns on',
    async (threads, turns) => {
      const session = await createWasmSession(program, { threads });
      const running = session.run(inputsOf(program, 1), { batch: 1 });
      const queued = session.run(inputsOf(program, 1), { batch: 1 });
      const settled = Promise.allSettled([running, queued]);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      session.dispose();
      session.dispose();
      for (const outcome of await settled) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(DeviceError) as DeviceError });
      }
      await expect(session.run(inputsOf(program, 1), { batch: 1 })).rejects.toThrow(/disposed/);
    },
  );

  test.each([1, 2])(
    'dispose() lets go of the memory, though the session is still held: %i threads',
    async (threads) => {
      let held: WeakRef<WebAssembly.Memory> | undefined;
      // Not a mock of Vitest's, which would hold what it gave.
      class Watched extends WebAssembly.Memory {
        constructor(descriptor: WebAssembly.MemoryDescriptor) {
          super(descriptor);
          held = new WeakRef(this);
        }
      }
      const { Memory } = WebAssembly;
      WebAssembly.Memory = Watched;
      const session = await createWasmSession(program, { threads }).finally(() => {
        WebAssembly.Memory = Memory;
      });
      await session.run(inputsOf(program, 1), { batch: 1 });
      expect(session.memoryBytes).toBeGreaterThan(0);
      session.dispose();
      expect(session.memoryBytes).toBe(0);
      expect(held).toBeDefined();
      await vi.waitFor(() => {
        collectGarbage();
        expect(held?.deref() === undefined).toBe(true);
      });
      expect(session.threads).toBe(threads);
    },
  );

  test('a thread that cannot be started ends those that were', async () => {
    let started = 0;
    let ended = 0;
    class ScarceWorker extends NodeWorker {
      constructor(url: URL) {
        if (started === 1) throw new RangeError('no more threads');
        super(url);
        started++;
      }
      override terminate(): void {
        ended++;
        super.terminate();
      }
    }
    const replaced = vi
      .spyOn(platform, 'startWorker')
      .mockImplementation(
        (source) => new ScarceWorker(new URL(`data:text/javascript,${encodeURIComponent(source)}`)),
      );
    try {
      const loaded = createWasmSession(randomProgram(1), { threads: 3 });
      await expect(loaded).rejects.toThrow(/^worker thread 2 of 3 .* could not be started: no more threads/);
      await expect(loaded).rejects.toThrow(DeviceError);
      expect([started, ended]).toEqual([1, 1]);
    } finally {
      replaced.mockRestore();
    }
  });

  test('where no thread can be started and none was asked for, the calling thread does the work', async () => {
    const { cores } = platform;
    Object.assign(platform, { cores: 2 });
    const replaced = vi.spyOn(platform, 'startWorker').mockImplementation(() => {
      throw new Error('refused by the policy of the page');
    });
    try {
      const program = randomProgram(3);
      using session = await createWasmSession(program);
      expect(replaced).toHaveBeenCalledTimes(1);
      expect(session.threads).toBe(1);
      using reference = createReferenceSession(program);
      const inputs = inputsOf(program, 1);
      expect((await session.run(inputs, { batch: 1 })).tensors).toEqual(
        (await reference.run(inputs, { batch: 1 })).tensors,
      );
    } finally {
      replaced.mockRestore();
      Object.assign(platform, { cores });
    }
  });

  test('a thread that fails rejects the run and later ones', async () => {
    const { module } = await loadEngine({ shared: true, relaxed: false });
    const pool = await createThreadPool(module, new LinearMemory(true).memory, 2);
    pool.prepare(0, [{ export: 'noSuchKernel', args: [], scratchArgument: -1, units: 8 }], [0, 0]);
    await expect(pool.run(0, 0, 1)).rejects.toThrow(/worker thread of the wasm backend failed/);
    await expect(pool.run(0, 0, 1)).rejects.toThrow(DeviceError);
    pool.dispose();
  });

  test('a trap in a kernel rejects the run', async () => {
    const { module } = await loadEngine({ shared: true, relaxed: false });
    const pool = await createThreadPool(module, new LinearMemory(true).memory, 2);
    const outside = 2 ** 31;
    pool.prepare(
      0,
      [{ export: 'lookup', args: [outside, outside, outside, outside], scratchArgument: -1, units: 8 }],
      [0, 0],
    );
    await expect(pool.run(0, 0, 1)).rejects.toThrow(/out of bounds/);
    pool.dispose();
  });
});

test.each(['session.dispose();', ''])('no thread keeps the process alive (%s)', async (end) => {
  const script = `
    import { createWasmSession } from './src/wasm/backend.ts';
    import { randomProgram } from './test/support/random-program.ts';
    const session = await createWasmSession(randomProgram(1), { threads: 2 });
    ${end}
    console.log(session.threads);`;
  const args = ['--conditions=octet:source', '--import', 'tsx', '--input-type=module', '--eval', script];
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, timeout: 60_000 });
  expect(stdout.trim()).toBe('2');
});

describe('queued runs on one thread let other tasks through', () => {
  const program = randomProgram(3);
  const inputs = inputsOf(program, 8);

  /** Many more runs than fit between two tasks. Gives how many ended well, and why the others did not. */
  async function queue(interrupt: (session: WasmSession) => void, signal?: AbortSignal) {
    using used = await createWasmSession(program, { threads: 1 });
    setTimeout(() => interrupt(used), 0);
    const runs = Array.from({ length: 3000 }, () =>
      used.run(inputs, { batch: 8, ...(signal && { signal }) }),
    );
    const settled = await Promise.allSettled(runs);
    const reasons = settled
      .filter((result) => result.status === 'rejected')
      .map(({ reason }) => reason as unknown);
    return { ended: settled.length - reasons.length, reasons: new Set(reasons.map(String)) };
  }

  test('an abort', async () => {
    const controller = new AbortController();
    const abort = () => controller.abort(new Error('enough'));
    const { ended, reasons } = await queue(abort, controller.signal);
    expect(ended).toBeLessThan(3000);
    expect([...reasons]).toEqual(['Error: enough']);
  });

  test('a dispose', async () => {
    const { ended, reasons } = await queue((session) => session.dispose());
    expect(ended).toBeLessThan(3000);
    expect([...reasons]).toEqual([expect.stringMatching(/disposed of/)]);
  });

  test('also where each run is awaited before the next', async () => {
    using session = await createWasmSession(program, { threads: 1 });
    let stopped = false;
    setTimeout(() => (stopped = true), 0);
    let runs = 0;
    while (!stopped && runs < 3000) {
      await session.run(inputs, { batch: 8 });
      runs++;
    }
    expect(runs).toBeLessThan(3000);
  });
});
