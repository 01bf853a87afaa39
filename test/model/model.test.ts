/** The public API around a session, on a classifier small enough to work out by hand. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeviceError, InputError } from '../../src/errors.ts';
import { compareBackends } from '../../src/model/compare.ts';
import { readLabels } from '../../src/model/labels.ts';
import { loadModel } from '../../src/model/load.ts';
import { LoadedModel } from '../../src/model/loaded-model.ts';
import type { Model } from '../../src/model/model.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import type { Conv2dOperation, IntegerProgram } from '../../src/program/program.ts';
import { int8Weights } from '../../src/program/weights.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { createWasmSession } from '../../src/wasm/backend.ts';
import { createProgramBuilder } from '../support/program-builder.ts';

/** Logit c of a 2×2 RGB picture is the sum of channel c, in steps of 1/255 of a pixel's range. */
function channelSums(): IntegerProgram {
  const builder = createProgramBuilder();
  const input = builder.input([2, 2, 3], -128, 1 / 255);
  const output = builder.tensor([1, 1, 3], 0, 'accumulator', 1 / 255);
  // OHWI: weight 1 where the output's channel is the input's.
  const weights = Int8Array.from({ length: 36 }, (_, i) => (Math.floor(i / 12) === i % 3 ? 1 : 0));
  const operation: Conv2dOperation = {
    kind: 'conv2d',
    name: 'sums',
    inputs: [input.id],
    output: output.id,
    kernel: [2, 2],
    stride: [1, 1],
    pads: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
    weights: int8Weights({ outChannels: 3, taps: 4, inChannels: 3 }, weights),
    // b − z_x·Σw
    bias: new Int32Array(3).fill(4 * 128),
    requantize: null,
    pool: false,
    residual: null,
  };
  builder.emit(operation);
  const program = builder.build('channel sums');
  return { ...program, outputs: program.outputs.map((end) => ({ ...end, shape: [3] })) };
}

const program = channelSums();
const operators = createOperatorRegistry();
const preprocessing = { mean: [0, 0, 0], std: [1, 1, 1] };

/** All pixels of one colour. */
const picture = (r: number, g: number, b: number) => ({
  width: 2,
  height: 2,
  data: Uint8Array.from({ length: 12 }, (_, i) => [r, g, b][i % 3]),
});

describe.each(['reference', 'wasm'] as const)('on %s', (backend) => {
  let model: LoadedModel;

  beforeEach(async () => {
    model = new LoadedModel({
      program,
      operators,
      session:
        backend === 'wasm'
          ? await createWasmSession(program, { threads: 1 })
          : createReferenceSession(program, operators),
      backendReason: 'for a test',
      labels: ['red', 'green'],
      preprocessing,
    });
  });

  afterEach(() => model.dispose());

  test('says what it takes and gives', () => {
    expect(model.inputs).toMatchObject([{ name: 't0', shape: ['N', 3, 2, 2], height: 2, zeroPoint: -128 }]);
    expect(model.outputs).toEqual([
      { name: 't1', shape: ['N', 3], dtype: 'float32', scale: null, zeroPoint: null, activation: 'none' },
    ]);
    expect(model.backend).toBe(backend);
    expect(model.threads).toBe(backend === 'wasm' ? 1 : null);
    expect(model.adapter).toBeNull();
  });

  test('runs pictures, pixels, reals and integers alike', async () => {
    const { data } = picture(10, 20, 30);
    const chw = (of: (value: number) => number) =>
      Array.from({ length: 12 }, (_, i) => of([10, 20, 30][Math.floor(i / 4)]));
    for (const value of [
      picture(10, 20, 30),
      { pixels: data },
      Float32Array.from(chw((value) => value / 255)),
      Int8Array.from(chw((value) => value - 128)),
    ]) {
      const { outputs, timings } = await model.run({ t0: value });
      expect(outputs.t1.shape).toEqual([1, 3]);
      expect([...outputs.t1.data].map((logit) => Math.round(logit * 255))).toEqual([40, 80, 120]);
      expect(timings.totalMs).toBeGreaterThan(0);
    }
  });

  test('has read its inputs when run, inspect and verify return', async () => {
    const values = [
      picture(10, 20, 30),
      { pixels: new Uint8Array(12).fill(9) },
      new Float32Array(12),
      new Int8Array(12),
    ];
    for (const value of values) {
      const truth = await model.run({ t0: value });
      const inspected = await model.values({ t0: value });
      const pending = [
        model.run({ t0: value }),
        model.values({ t0: value }),
        model.verify({ t0: value }),
      ] as const;
      const array = ArrayBuffer.isView(value) ? value : 'pixels' in value ? value.pixels : value.data;
      array.fill(1);
      const [run, inspect, verified] = await Promise.all(pending);
      expect(run.outputs).toEqual(truth.outputs);
      expect(inspect).toEqual(inspected);
      expect(verified.equal).toBe(true);
    }
  });

  test('classifies one and several, resizing and ranking', async () => {
    const one = await model.classify(picture(0, 200, 100), { topK: 2 });
    expect(one.predictions.map(({ label, index }) => [label, index])).toEqual([
      ['green', 1],
      // The model names two classes only.
      ['2', 2],
    ]);
    const sum = [0, 800, 400].reduce((total, logit) => total + Math.exp(logit / 255), 0);
    expect(one.predictions[0].probability).toBeCloseTo(Math.exp(800 / 255) / sum, 6);
    const large = { width: 40, height: 30, data: new Uint8Array(3600).fill(7) };
    const many = await model.classify([picture(255, 0, 0), large]);
    expect(many.predictions).toHaveLength(2);
    expect(many.predictions[0][0].label).toBe('red');
    expect(many.predictions[1].map(({ index }) => index)).toEqual([0, 1, 2]);
  });

  test('shows tensors inside, without padding', async () => {
    const tensors = await model.values({ t0: [picture(1, 2, 3), picture(4, 5, 6)] });
    expect([...tensors.keys()]).toEqual(['t0', 't1']);
    expect([...tensors.get('t0')!.data.subarray(0, 6)]).toEqual([-127, -126, -125, -127, -126, -125]);
    expect([...tensors.get('t1')!.data]).toEqual([4, 8, 12, 16, 20, 24]);
    expect((await model.values({ t0: picture(0, 0, 0) }, { tensors: ['t1'] })).size).toBe(1);
  });

  test('plans and profiles', async () => {
    const plan = await model.plan(3);
    expect(plan).toMatchObject({ backend, batch: 3, dispatches: 0 });
    expect(plan.operations).toMatchObject([{ name: 'sums', macs: 3 * 36, reads: ['t0'], writes: ['t1'] }]);
    expect(plan.memory.peakBytes).toBeGreaterThanOrEqual(plan.memory.lowerBoundBytes);
    const { operations, method } = await model.profile({ batch: 2, repetitions: 3 });
    expect(method).toBe('clock');
    expect(operations).toMatchObject([{ name: 'sums', macs: 72 }]);
    expect(operations[0].bytes).toBe(2 * 4 * 4 + 2 * 4 * 4 + 36 + 12);
  });

  test('equals the reference, and says so', async () => {
    const { equal, report, tensors } = await model.verify({ t0: picture(9, 8, 7) });
    expect(equal).toBe(true);
    expect(tensors.map(({ name }) => name)).toEqual(['t0', 't1']);
    expect(report).toContain('none differs');
  });

  test.each<[string, Parameters<Model['run']>[0], RegExp]>([
    ['nothing', undefined as never, /by name: \{ t0 \}/],
    ['no input', {}, /"t0" is missing/],
    ['a wrong name', { t0: picture(0, 0, 0), image: picture(0, 0, 0) }, /no input "image".*"t0"/],
    ['a wrong length', { t0: new Float32Array(13) }, /multiple of that, not 13/],
    ['nothing in it', { t0: new Float32Array(0) }, /not 0/],
    ['not a number', { t0: new Float32Array(12).fill(NaN) }, /not a number/],
    ['pixels of a wrong length', { t0: { pixels: new Uint8Array(5) } }, /not 5/],
    ['no picture', { t0: {} as never }, /picture was expected/],
    ['text', { t0: 'cat.png' as never }, /takes a Float32Array.*cat\.png/],
    ['no pictures', { t0: [] }, /not 0/],
  ])('refuses %s', async (_, inputs, message) => {
    const error: unknown = await model.run(inputs).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(message);
  });

  test('refuses outputs on a GPU, unknown tensors and odd counts', async () => {
    const inputs = { t0: picture(0, 0, 0) };
    await expect(model.run(inputs, { outputs: 'gpu' })).rejects.toThrow(InputError);
    await expect(model.values(inputs, { tensors: ['t9'] })).rejects.toThrow(/no tensor "t9".*"t0", "t1"/);
    await expect(model.classify(picture(0, 0, 0), { topK: 0 })).rejects.toThrow(/topK/);
    await expect(model.plan(0)).rejects.toThrow(/batch must be a positive integer, got 0/);
    await expect(model.profile({ repetitions: 1.5 })).rejects.toThrow(/repetitions/);
  });

  test('an aborted run rejects with the reason', async () => {
    const reason = new RangeError('too slow');
    const run = model.run({ t0: picture(0, 0, 0) }, { signal: AbortSignal.abort(reason) });
    await expect(run).rejects.toBe(reason);
  });

  test('rejects with a DeviceError once disposed of', async () => {
    model.dispose();
    model[Symbol.dispose]();
    await expect(model.run({ t0: picture(0, 0, 0) })).rejects.toThrow(DeviceError);
  });
});

test('a comparison names the first tensor that differs, and where', async () => {
  const flipped: IntegerProgram = {
    ...program,
    operations: program.operations.map((operation) => {
      const { weights, ...rest } = operation as Conv2dOperation;
      const values = weights.rows().map((weight, i) => (i === 13 ? weight + 1 : weight));
      return { ...rest, weights: int8Weights(weights, values) };
    }),
  };
  const load = (of: IntegerProgram) =>
    new LoadedModel({
      program: of,
      operators,
      session: createReferenceSession(of, operators),
      backendReason: '',
      labels: [],
      preprocessing,
    });
  const comparison = await compareBackends(load(flipped), load(program), {
    t0: [picture(0, 0, 0), picture(3, 3, 3)],
  });
  expect(comparison.equal).toBe(false);
  // Weight 13 multiplies channel 1 of the first pixel into class 1; the first picture's zero becomes −128 + 128.
  expect(comparison.firstDiffering).toMatchObject({ name: 't1', shape: [2, 1, 1, 3] });
  expect(comparison.report).toMatch(/first in tensor "t1" \[2, 1, 1, 3\]/);
  expect(comparison.report).toMatch(/first at \(n 0, h 0, w 0, c 1\): -128, expected 0/);
  expect(comparison.report).toMatch(/\^/);
});

describe('loadModel refuses', () => {
  test.each<[string, () => Promise<Model>, string, RegExp]>([
    ['an empty file', () => loadModel(new Uint8Array()), 'ModelError', /empty/],
    ['text', () => loadModel(new TextEncoder().encode('hello, I am no model')), 'ModelError', /not an ONNX/],
    ['a missing file', () => loadModel('no/such/model.onnx'), 'InputError', /no\/such\/model\.onnx/],
    ['a number', () => loadModel(5 as never), 'InputError', /not 5/],
    ['nothing', () => loadModel(null as never), 'InputError', /not null/],
    [
      'an unknown backend',
      () => loadModel('', { backend: 'cuda' as never }),
      'InputError',
      /auto, webgpu, wasm, reference, got "cuda"/,
    ],
    ['an unknown mode of tuning', () => loadModel('', { tune: 'max' as never }), 'InputError', /tune/],
    ['a device that is none', () => loadModel('', { device: {} as GPUDevice }), 'InputError', /a GPUDevice/],
    [
      'a device for another backend',
      () =>
        loadModel('', {
          backend: 'wasm',
          device: {
            createBuffer: () => undefined,
            createBindGroup: () => undefined,
            createComputePipelineAsync: () => undefined,
          } as unknown as GPUDevice,
        }),
      'InputError',
      /device is for the webgpu backend/,
    ],
  ])('%s', async (_, load, name, message) => {
    const error: unknown = await load().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name, message: expect.stringMatching(message) as string });
  });

  test('an aborted signal', async () => {
    await expect(loadModel(new Uint8Array(9), { signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  });
});

test('labels are an array, lines or words between commas', () => {
  const read = (labels: string) => readLabels(new Map([['labels', labels]]));
  expect(read('cat, dog')).toEqual(['cat', 'dog']);
  expect(read('cat, small\ndog')).toEqual(['cat, small', 'dog']);
  expect(read('["cat, small", "dog"]')).toEqual(['cat, small', 'dog']);
  expect(read('[cat], dog')).toEqual(['[cat]', 'dog']);
  expect(readLabels(new Map())).toEqual([]);
});
