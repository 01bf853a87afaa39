/** Programs of which some operations run on the host, on all backends. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operator } from '../../src/ops/operator.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import type { FloatTensor, IntegerProgram, Operation, TensorId } from '../../src/program/program.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import type { Session, SessionInput, SessionResult } from '../../src/schedule/session.ts';
import { createWasmSession } from '../../src/wasm/backend.ts';
import { openDevice } from '../../src/webgpu/device.ts';
import type { OpenDevice } from '../../src/webgpu/device.ts';
import { createWebgpuSession } from '../../src/webgpu/backend.ts';
import { chooseVulkanDriver } from '../support/node-gpu.ts';
import { createProgramBuilder, randomInputs } from '../support/program-builder.ts';
import { createRandom } from '../support/random.ts';
import { randomProgram } from '../support/random-program.ts';

/** Real values of an int8 tensor without padded lanes, as stored. */
const toFloat: Operator = {
  kind: 'to-float',
  onnx: [],
  stage: 'host',
  lower: () => undefined,
  macs: () => 0,
  reference({ inputs: [from], output }, { batch, tensor, buffer }) {
    const { image, scale, zeroPoint } = tensor(from);
    const [height, width, channels] = image;
    const [x, y] = [buffer(from), buffer(output)];
    const stored = x.length / (batch * height * width);
    for (let i = 0; i < y.length; i++) {
      const at = Math.floor(i / channels) * stored + (i % channels);
      y[i] = (scale as number) * (x[at] - zeroPoint);
    }
  },
};

const half: Operator = {
  kind: 'half',
  onnx: [],
  stage: 'host',
  lower: () => undefined,
  macs: () => 0,
  reference({ inputs: [from], output }, { buffer }) {
    buffer(output).set(buffer(from).map((value) => value / 2));
  },
};

/** Back to int8, padded lanes at the zero point. */
const toInt8: Operator = {
  kind: 'to-int8',
  onnx: [],
  stage: 'host',
  lower: () => undefined,
  macs: () => 0,
  reference({ inputs: [from], output }, { batch, tensor, buffer }) {
    const { image, scale, zeroPoint } = tensor(output);
    const [height, width, channels] = image;
    const [x, y] = [buffer(from), buffer(output).fill(zeroPoint)];
    const stored = y.length / (batch * height * width);
    for (let i = 0; i < x.length; i++) {
      const at = Math.floor(i / channels) * stored + (i % channels);
      y[at] = Math.max(-128, Math.min(127, Math.round(x[i] / (scale as number)) + zeroPoint));
    }
  },
};

/** Each built-in operator a second time, without kernels. */
const onHost = builtinOperators.map((operator): Operator => ({
  kind: `host-${operator.kind}`,
  onnx: operator.onnx,
  stage: 'host',
  lower: (...args) => operator.lower(...args),
  macs: (...args) => operator.macs(...args),
  reference: (...args) => operator.reference(...args),
}));

const operators = createOperatorRegistry([...onHost, toFloat, half, toInt8]);

let open: OpenDevice;
beforeAll(async () => {
  chooseVulkanDriver();
  open = await openDevice({});
});
afterAll(() => open.close());

/** Some of its operations on the host. */
function partlyOnHost(program: IntegerProgram, seed: number): IntegerProgram {
  const random = createRandom(seed);
  return {
    ...program,
    operations: program.operations.map((operation): Operation =>
      random.chance(0.4) ? { ...operation, kind: `host-${operation.kind}` } : operation,
    ),
  };
}

/** int8 → float → float → int8 → device, and a float result. */
function floatProgram(): IntegerProgram {
  const builder = createProgramBuilder();
  const x = builder.input([3, 5, 6], -3);
  const doubled = builder.tensor([3, 5, 6], 4);
  const table = Int8Array.from({ length: 256 }, (_, i) => 127 - i);
  const lookup = (from: TensorId, to: TensorId) =>
    builder.emit({ kind: 'lookup', name: `lookup ${to}`, inputs: [from], output: to, table } as Operation);
  lookup(x.id, doubled.id);
  const float = (): FloatTensor => builder.tensor([1, 1, 90], 0, 'float32', 1) as FloatTensor;
  const [real, halved] = [float(), float()];
  const back = builder.tensor([3, 5, 6], 1);
  const end = builder.tensor([3, 5, 6], 2);
  builder.emit({ kind: 'to-float', name: 'to float', inputs: [doubled.id], output: real.id });
  builder.emit({ kind: 'half', name: 'half', inputs: [real.id], output: halved.id });
  builder.emit({ kind: 'to-int8', name: 'to int8', inputs: [halved.id], output: back.id });
  lookup(back.id, end.id);
  return builder.build('float', [end.id, halved.id, doubled.id, back.id]);
}

function inputsOf(program: IntegerProgram, batch: number, seed: number): Map<TensorId, SessionInput> {
  const data = randomInputs(program, batch, createRandom(seed));
  return new Map([...data].map(([id, values]) => [id, { kind: 'quantized', data: values }]));
}

const backends: Readonly<Record<string, (program: IntegerProgram) => Promise<Session>>> = {
  'wasm, 1 thread': (program) => createWasmSession(program, { operators, threads: 1 }),
  'wasm, 2 threads': (program) => createWasmSession(program, { operators, threads: 2 }),
  webgpu: (program) => createWebgpuSession(program, operators, { device: open.device }),
};

describe.each(Object.keys(backends))('%s', (name) => {
  test.each([[2], [5], [6]])(
    'random program %i, partly on the host, gives the same bytes',
    async (seed) => {
      const whole = randomProgram(seed);
      const program = partlyOnHost(whole, seed);
      const asked = program.tensors.map(({ id }) => id);
      using reference = createReferenceSession(whole, operators);
      using session = await backends[name](program);
      // Three at once, of two batch sizes: they share the plan's memory.
      const batches = [2, 1, 2];
      const inputs = batches.map((batch, run) => inputsOf(whole, batch, run));
      const options = batches.map((batch) => ({ batch, tensors: seed === 5 ? [] : asked }));
      const actual = await Promise.all(inputs.map((each, run) => session.run(each, options[run])));
      for (const [run, each] of inputs.entries()) {
        expectSame(actual[run], await reference.run(each, options[run]));
      }
    },
    120_000,
  );

  test('floats stay on the host, and are read as they are', async () => {
    const program = floatProgram();
    using reference = createReferenceSession(program, operators);
    using session = await backends[name](program);
    const inputs = inputsOf(program, 3, 1);
    const expected = await reference.run(inputs, { batch: 3 });
    expectSame(await session.run(inputs, { batch: 3 }), expected);
    const [, { tensor }] = program.outputs;
    expect(expected.tensors.get(tensor)).toBeInstanceOf(Float32Array);
    expect(expected.tensors.get(tensor)!.some((value) => value !== Math.trunc(value))).toBe(true);
  });
});

function expectSame(actual: SessionResult, expected: SessionResult): void {
  expect([...actual.tensors.keys()]).toEqual([...expected.tensors.keys()]);
  for (const [id, values] of expected.tensors) expect(actual.tensors.get(id), `tensor ${id}`).toEqual(values);
}
