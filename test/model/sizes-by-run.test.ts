/** Models whose sizes each run chooses: the same bytes as of one that is loaded for the size, on every backend. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DeviceError, InputError, ModelError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { loadFixedModel, loadModel } from '../../src/model/load.ts';
import type { LoadOptions, Model, OutputTensor, RunInput } from '../../src/model/model.ts';
import { readNetwork } from '../../src/model/source.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { lower } from '../../src/program/lower.ts';
import type { Conv2dOperation, IntegerProgram } from '../../src/program/program.ts';
import { reuseWeights } from '../../src/program/reuse-weights.ts';
import { openWasmBackend } from '../../src/wasm/backend.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { openDevice, type OpenDevice } from '../../src/webgpu/device.ts';
import { chooseVulkanDriver } from '../support/node-gpu.ts';
import { mobileNet } from '../support/onnx-models.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(1);
const reals = (length: number) => Float32Array.from({ length }, () => 2 * random.next() - 1);
const tensor = (shape: readonly number[]) => ({ data: reals(shape.reduce((a, b) => a * b, 1)), shape });

let open: OpenDevice;
/** Ends in a global pool: any size will do. The pair before its first convolution keeps weights and biases in tensors that passes fold. */
let classifier: Uint8Array;
/** Outputs are maps: their sizes come of the input's. Smaller than 12×12 has no place for its kernels. */
let proposal: Uint8Array;

beforeAll(async () => {
  chooseVulkanDriver();
  open = await openDevice({});
  proposal = new Uint8Array(
    await readFile(new URL('../../models/faces-proposal.int8.onnx', import.meta.url)),
  );
  const { constants, ...graph } = mobileNet(1);
  const inputs = graph.inputs.map((input) => ({ ...input, shape: ['N', 3, 'height', 'width'] }));
  const float: Graph = decodeModel(encodeModel({ ...graph, constants, inputs, values: new Map() }));
  const quantized = await quantize(float, [{ data: reals(2 * 3 * 16 * 12), shape: [2, 3, 16, 12] }]);
  classifier = encodeModel(quantized.graph);
});

afterAll(() => open.close());

const BACKENDS: Record<string, () => LoadOptions> = {
  reference: () => ({ backend: 'reference' }),
  'wasm, 1 thread': () => ({ backend: 'wasm', threads: 1 }),
  'wasm, 2 threads': () => ({ backend: 'wasm', threads: 2 }),
  webgpu: () => ({ device: open.device }),
};

type Outputs = Readonly<Record<string, OutputTensor>>;

/** What a model that is loaded for the input's shape gives. */
async function pinned(
  file: Uint8Array,
  input: { data: Float32Array; shape: readonly number[] },
): Promise<Outputs> {
  using model = await loadFixedModel(file, { backend: 'reference', inputShape: { input: input.shape } });
  return (await model.run({ input: input.data }, { integers: true })).outputs;
}

async function outputsOf(model: Model, input: RunInput): Promise<Outputs> {
  return (await model.run({ input }, { integers: true })).outputs;
}

describe.each(['reference', 'wasm, 1 thread', 'wasm, 2 threads'])('on %s', (name) => {
  // With 2 every size has been evicted when it comes again; with 4 all stay, and what the largest needs moves the memory of the others.
  test.each([2, 4])(
    'every size gives the bytes of a model that is loaded for it, where %i stay prepared',
    async (maxInputShapes) => {
      using model = await loadModel(classifier, { ...BACKENDS[name](), maxInputShapes });
      const inputs = [
        [1, 3, 9, 20],
        [3, 3, 20, 9],
        [2, 3, 33, 17],
        [1, 3, 5, 5],
      ].map(tensor);
      const expected = await Promise.all(inputs.map((input) => pinned(classifier, input)));
      for (const round of [0, 1, 2]) {
        for (const [i, input] of inputs.entries()) {
          expect(await outputsOf(model, input), `round ${round}, [${input.shape.join()}]`).toEqual(
            expected[i],
          );
        }
      }
    },
  );
});

describe.each(['wasm, 1 thread', 'wasm, 2 threads', 'webgpu'])('on %s', (name) => {
  test('outstanding runs of several sizes', async () => {
    using model = await loadModel(proposal, { ...BACKENDS[name](), maxInputShapes: 1 });
    const inputs = (
      name === 'webgpu'
        ? [
            [1, 3, 14, 19],
            [1, 3, 19, 14],
          ]
        : [
            [1, 3, 14, 19],
            [2, 3, 31, 12],
            [1, 3, 12, 12],
            [1, 3, 14, 19],
          ]
    ).map(tensor);
    const expected = await Promise.all(inputs.map((input) => pinned(proposal, input)));
    const running = inputs.map((input) => outputsOf(model, input));
    // Inputs are read at once, also those of sizes that are yet to be prepared.
    for (const { data } of inputs) data.fill(NaN);
    expect(await Promise.all(running)).toEqual(expected);
  });
});

describe('a model with open sizes', () => {
  let model: Model;

  beforeAll(async () => {
    model = await loadModel(proposal, { backend: 'wasm', threads: 1 });
  });

  afterAll(() => model.dispose());

  test('names them', () => {
    const [input] = model.inputs;
    expect(input).toMatchObject({ name: 'input', height: null, width: null, channels: 3, dtype: 'float32' });
    expect(input.shape).toEqual(['N', 3, 'height', 'width']);
    expect(model.outputs.map(({ shape }) => shape.length)).toEqual([4, 4]);
    expect(model.program).toBeNull();
    expect(model.hostNodes).toBeNull();
  });

  test('has the scale of its input, as one of fixed sizes', async () => {
    using fixed = await loadFixedModel(proposal, {
      backend: 'reference',
      inputShape: { height: 12, width: 12 },
    });
    const { scale, zeroPoint } = fixed.inputs[0];
    expect(model.inputs[0]).toMatchObject({ scale, zeroPoint });
    const of = ({ outputs }: Model) => outputs.map(({ shape, ...rest }) => ({ ...rest, rank: shape.length }));
    expect(of(model)).toEqual(of(fixed));
  });

  test('refuses an impossible size with its reasons, and runs others after that', async () => {
    const running = model.run({ input: tensor([1, 3, 14, 6]) });
    await expect(running).rejects.toThrow(ModelError);
    await expect(running).rejects.toThrow(/Conv.*\(at height = 14, width = 6\)/s);
    const input = tensor([1, 3, 14, 12]);
    expect(await outputsOf(model, input)).toEqual(await pinned(proposal, input));
  });

  test('refuses a size whose activations are too large', async () => {
    using small = await loadModel(proposal, { backend: 'wasm', threads: 1, maxActivationBytes: 20_000 });
    await expect(small.run({ input: tensor([1, 3, 50, 50]) })).rejects.toThrow(
      /maxActivationBytes.*\(at height = 50/,
    );
    await small.run({ input: tensor([1, 3, 12, 12]) });
  });

  test.each<[string, RunInput, RegExp]>([
    [
      'values alone',
      new Float32Array(3 * 144),
      /nobody says the sizes of "input" \[N, 3, height, width\].*\{ data, shape \}.*inputShape: \{ height: …, width: … \}/,
    ],
    ['pixels alone', { pixels: new Uint8Array(3 * 144) }, /nobody says the sizes/],
    [
      'another number of channels',
      { data: new Float32Array(144), shape: [1, 1, 12, 12] },
      /input "input" is given as \[1, 1, 12, 12\], but the model takes "input" \[N, 3, height, width\]/,
    ],
    ['too few values', { data: new Float32Array(3), shape: [1, 3, 12, 12] }, /432 values, but 3/],
    ['no size', { data: new Float32Array(0), shape: [1, 3, 0, 12] }, /positive integers/],
    [
      'other values',
      { data: [1, 2, 3] as never, shape: [1, 3, 12, 12] },
      /must be a Float32Array or an Int8Array/,
    ],
    [
      'pictures of two sizes',
      [
        { width: 12, height: 12, data: new Uint8Array(432) },
        { width: 13, height: 12, data: new Uint8Array(468) },
      ],
      /several sizes/,
    ],
    ['no picture', null as never, /nobody says the sizes/],
  ])('refuses %s', async (_, input, message) => {
    const running = model.run({ input });
    await expect(running).rejects.toThrow(InputError);
    await expect(running).rejects.toThrow(message);
  });

  test('takes sizes from options, pixels and pictures', async () => {
    const [height, width] = [13, 15];
    const pixels = Uint8Array.from({ length: 3 * height * width }, () => random.int(0, 255));
    using fixed = await loadFixedModel(proposal, { backend: 'reference', inputShape: { height, width } });
    const expected = await outputsOf(fixed, { pixels });
    const picture = { width, height, data: pixels };
    expect(await outputsOf(model, { pixels, height, width })).toEqual(expected);
    expect(await outputsOf(model, picture)).toEqual(expected);
    const inputShape = { height, width };
    expect((await model.run({ input: { pixels } }, { integers: true, inputShape })).outputs).toEqual(
      expected,
    );
    // Not at its own size, but at that which is asked for.
    const large = { width: 2 * width, height: 2 * height, data: new Uint8Array(12 * height * width) };
    expect((await model.run({ input: large }, { inputShape })).outputs).toEqual(
      (await fixed.run({ input: large })).outputs,
    );
    const conflict = model.run({ input: tensor([1, 3, 12, 12]) }, { inputShape });
    await expect(conflict).rejects.toThrow(/given as \[1, 3, 12, 12\], but the model takes \[N, 3, 13, 15\]/);
  });

  test('plans, profiles, gives values and verifies at a size', async () => {
    const inputShape = { height: 14, width: 16 };
    using fixed = await loadFixedModel(proposal, { backend: 'wasm', threads: 1, inputShape });
    expect(await model.plan(2, { inputShape })).toEqual(await fixed.plan(2));
    const { operations } = await model.profile({ inputShape, repetitions: 1 });
    expect(operations).toHaveLength(fixed.program.operations.length);
    const input = tensor([2, 3, 14, 16]);
    expect(await model.values({ input })).toEqual(await fixed.values({ input: input.data }));
    expect((await model.verify({ input })).equal).toBe(true);
    await expect(model.plan()).rejects.toThrow(/nobody says the sizes/);
    await expect(model.profile()).rejects.toThrow(/nobody says the sizes/);
    await expect(model.plan(1, { inputShape: { depth: 3 } })).rejects.toThrow(/names "depth"/);
  });

  test('can be left in part to each run', async () => {
    using half = await loadModel(proposal, { backend: 'reference', inputShape: { height: 13 } });
    expect(half.inputs[0]).toMatchObject({ height: 13, width: null });
    const input = tensor([1, 3, 13, 17]);
    expect(await outputsOf(half, input)).toEqual(await pinned(proposal, input));
    await expect(half.run({ input: tensor([1, 3, 12, 17]) })).rejects.toThrow(
      /but the model takes "input" \[N, 3, 13, width\]/,
    );
  });

  test('an aborted run leaves its size prepared for others', async () => {
    const input = tensor([1, 3, 21, 12]);
    const aborted = model.run({ input }, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toThrow(/abort/i);
    expect(await outputsOf(model, input)).toEqual(await pinned(proposal, input));
  });

  test('does not notice what becomes of the bytes that it was loaded from', async () => {
    const bytes = classifier.slice();
    using changed = await loadModel(bytes, { backend: 'wasm', threads: 1 });
    bytes.fill(0);
    const input = tensor([1, 3, 8, 9]);
    expect(await outputsOf(changed, input)).toEqual(await pinned(classifier, input));
  });

  test('is of no use once disposed of, and what is in flight rejects', async () => {
    const gone = await loadModel(proposal, { backend: 'wasm', threads: 2 });
    const input = tensor([1, 3, 12, 12]);
    await gone.run({ input });
    const running = gone.run({ input });
    running.catch(() => undefined);
    gone.dispose();
    gone.dispose();
    await expect(running).rejects.toThrow(DeviceError);
    await expect(gone.run({ input })).rejects.toThrow(/disposed of/);
  });
});

test('classifying takes a size, since answers at others are poor', async () => {
  using model = await loadModel(classifier, {
    backend: 'wasm',
    threads: 1,
    preprocessing: { mean: [0, 0, 0], std: [1, 1, 1] },
  });
  const picture = { width: 12, height: 10, data: Uint8Array.from({ length: 360 }, () => random.int(0, 255)) };
  await expect(model.classify(picture)).rejects.toThrow(/nobody says the sizes.*inputShape/);
  const inputShape = { height: 10, width: 12 };
  using fixed = await loadModel(classifier, {
    backend: 'wasm',
    threads: 1,
    preprocessing: model.preprocessing!,
    inputShape,
  });
  const { predictions } = await model.classify(picture, { inputShape });
  expect(predictions).toEqual((await fixed.classify(picture)).predictions);
});

describe('a model of fixed sizes', () => {
  test('checks the shapes that tensors say', async () => {
    using model = await loadModel(proposal, { backend: 'reference', inputShape: { height: 12, width: 13 } });
    const input = tensor([1, 3, 12, 13]);
    expect(await outputsOf(model, input)).toEqual(await outputsOf(model, input.data));
    const { data } = tensor([1, 3, 13, 12]);
    await expect(model.run({ input: { data, shape: [1, 3, 13, 12] } })).rejects.toThrow(
      /input "input" is given as \[1, 3, 13, 12\], but the model takes \[N, 3, 12, 13\]/,
    );
    const pixels = new Uint8Array(3 * 156);
    await expect(model.run({ input: { pixels, height: 13, width: 12 } })).rejects.toThrow(
      /13×12, but the model takes 12×13/,
    );
    await expect(model.run({ input }, { inputShape: { input: [1, 3, 9, 9] } })).rejects.toThrow(
      /inputShape gives "input"/,
    );
  });

  test('is refused where sizes are open', async () => {
    await expect(loadFixedModel(proposal, { backend: 'reference' })).rejects.toThrow(ModelError);
  });
});

test('sizes share packed weights', async () => {
  const bytes = await readFile(new URL('../../models/text-detector.int8.onnx', import.meta.url));
  const network = await readNetwork(new Uint8Array(bytes));
  const operators = createOperatorRegistry();
  const at = (height: number, width: number) => lower(network.at!({ height, width }), operators.operators);
  const first = at(32, 32);
  const second = reuseWeights(at(32, 64), first);
  const weightsOf = (program: IntegerProgram) =>
    program.operations
      .filter((each): each is Conv2dOperation => each.kind === 'conv2d')
      .map(({ weights }) => weights);
  expect(weightsOf(second).length).toBeGreaterThan(50);
  for (const [i, weights] of weightsOf(second).entries())
    expect(weights, `layer ${i}`).toBe(weightsOf(first)[i]);

  const backend = await openWasmBackend({ operators, threads: 1 });
  const used: number[] = [];
  for (const program of [first, second]) {
    const session = backend.session(program);
    await session.prepare([1]);
    used.push(session.memoryBytes);
  }
  backend.dispose();
  const weights = weightsOf(first).reduce((sum, each) => sum + each.rows().length, 0);
  expect(used[1] - used[0]).toBeLessThan(weights / 2);
});
