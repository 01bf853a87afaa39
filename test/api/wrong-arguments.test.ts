/**
 * Every exported function and every method of a model, called with wrong values in place of each argument, each option and each member
 * of what is passed: the call succeeds, or an OctetError says why not. Nothing else leaves the public API.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as extending from '../../src/index-extend.ts';
import * as quantizing from '../../src/index-quantize.ts';
import * as inspecting from '../../src/index-inspect.ts';
import * as vision from '../../src/index-vision.ts';
import * as octet from '../../src/index.ts';
import { createFloatGraph } from '../support/onnx-models.ts';

/** A call that succeeds, with its arguments made anew each time: calls may keep or change what they get. */
interface Call {
  readonly call: (...args: never) => unknown;
  readonly args: () => unknown[];
  /** Members (`options.backend`) that are left alone: any value is fine, or the call would take long. */
  readonly skip?: readonly string[];
  /** Whether to go into the graphs that it takes: their check is one, and need not be tried at every door. */
  readonly insideGraphs?: boolean;
}

const detached = () => {
  const bytes = new Uint8Array(12);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
};

const wrongValues: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  zero: () => 0,
  'minus one': () => -1,
  'one and a half': () => 1.5,
  NaN: () => NaN,
  Infinity: () => Infinity,
  'a bigint': () => 5n,
  'an empty string': () => '',
  'a string': () => 'x',
  'an odd address': () => 'file://host/x',
  'a path with NUL': () => 'a\0b',
  'a symbol': () => Symbol('s'),
  'an empty array': () => [],
  'an array of null': () => [null],
  'an array of strings': () => ['x'],
  'an array of NaN': () => [NaN],
  'an object': () => ({}),
  'an object without a prototype': () => Object.create(null) as unknown,
  'a size': () => ({ width: 2, height: 2 }),
  'a negative picture': () => ({ width: -3, height: -3, data: new Uint8Array(27) }),
  'a function': () => () => undefined,
  'a date': () => new Date(0),
  'a map': () => new Map([[1, 2]]),
  'a promise': () => Promise.resolve(),
  'no bytes': () => new Uint8Array(0),
  'detached bytes': detached,
  'a detached buffer': () => detached().buffer,
  'shared bytes': () => new Uint8Array(new SharedArrayBuffer(4)),
  'a data view': () => new DataView(new ArrayBuffer(4)),
  bigints: () => new BigInt64Array(3),
  floats: () => new Float32Array(3),
};

/** Paths of everything in `value` that can be replaced, itself included. */
function* pathsIn(
  value: unknown,
  insideGraphs = false,
  path: readonly unknown[] = [],
): Generator<readonly unknown[]> {
  yield path;
  if (typeof value === 'object' && value !== null && 'nodes' in value && !insideGraphs) return;
  if (value instanceof Map) {
    const [first] = value.entries();
    if (first) yield* pathsIn(first[1], insideGraphs, [...path, first[0]]);
  } else if (Array.isArray(value)) {
    if (value.length > 0) yield* pathsIn(value[0], insideGraphs, [...path, 0]);
    if (value.length > 1) yield* pathsIn(value.at(-1), insideGraphs, [...path, value.length - 1]);
  } else if (
    typeof value === 'object' &&
    value !== null &&
    Object.getPrototypeOf(value) === Object.prototype
  ) {
    for (const [key, member] of Object.entries(value)) yield* pathsIn(member, insideGraphs, [...path, key]);
  }
}

function replaced(value: unknown, [key, ...rest]: readonly unknown[], by: unknown): unknown {
  if (key === undefined) return by;
  if (value instanceof Map) return new Map(value).set(key, replaced(value.get(key), rest, by));
  if (Array.isArray(value))
    return value.map((item, i) => (i === key ? replaced(item, rest, by) : (item as unknown)));
  const record = value as Record<string, unknown>;
  return { ...record, [key as string]: replaced(record[key as string], rest, by) };
}

/** Some calls give a generator, whose work begins when it is asked for values. */
async function run({ call }: Call, args: readonly unknown[]): Promise<void> {
  const result: unknown = await (call as (...args: readonly unknown[]) => unknown)(...args);
  if (typeof result !== 'object' || result === null) return;
  if (Symbol.asyncIterator in result) for await (const item of result as AsyncIterable<unknown>) void item;
  if ('dispose' in result) await (result as { dispose: () => unknown }).dispose();
}

const picture = (): octet.Picture => ({ width: 4, height: 4, data: new Uint8Array(48).fill(90) });
const preprocessing = () => ({ mean: [0, 0, 0], std: [1, 1, 1] });
const placement = () => {
  const region = () => ({ left: 0, top: 0, width: 4, height: 4 });
  return { width: 4, height: 4, source: region(), target: region() };
};
const batches = () => [{ data: new Float32Array(96).fill(0.5), shape: [2, 3, 4, 4] }];
const asyncOptions = () => ({ signal: new AbortController().signal, onProgress: () => undefined });

function floatGraph(): quantizing.Graph {
  const b = createFloatGraph(1);
  return b.finish(b.gemm(b.globalPool(b.relu(b.conv(b.input('input', ['N', 3, 4, 4]), 2))), 3));
}

const withPreprocessing = (float: quantizing.Graph): quantizing.Graph => ({
  ...float,
  metadata: new Map([
    ['mean', '0,0,0'],
    ['std', '1,1,1'],
  ]),
});

let calibration: quantizing.Calibration;
let graph: quantizing.Graph;
let bytes: Uint8Array<ArrayBuffer>;
let golden: Uint8Array;
let model: octet.Model;
let plan: octet.ModelPlan;
let png: Uint8Array;

beforeAll(async () => {
  calibration = await quantizing.calibrate(floatGraph(), batches());
  graph = quantizing.quantizeCalibrated(calibration).graph;
  bytes = quantizing.encodeModel(graph);
  model = await octet.loadModel(graph, { backend: 'reference', preprocessing: preprocessing() });
  plan = await model.plan();
  const grey = { name: 'grey', inputs: { input: new Float32Array(48).fill(0.5) } };
  golden = await inspecting.makeGoldenPack(bytes, [grey], { backend: 'reference' });
  const { default: sharp } = await import('sharp');
  png = await sharp(picture().data, { raw: { width: 4, height: 4, channels: 3 } })
    .png()
    .toBuffer();
});
afterAll(() => model.dispose());

const loadOptions = () => ({
  ...asyncOptions(),
  backend: 'reference',
  powerPreference: 'low-power',
  device: undefined,
  tune: 'off',
  batches: [1],
  threads: 1,
  preprocessing: preprocessing(),
  labels: ['a', 'b', 'c'],
  operators: [],
  fuse: true,
  hostStages: false,
  externalData: new Map([['x', new Uint8Array(1)]]),
});
const runInputs = () => ({ input: { pixels: picture().data, batch: 1 } });
const ranks = (name: string) => ({ name, scores: () => Promise.resolve([[0.1, 0.9]]) });

const definition = () => ({
  op: 'Mine',
  inputs: [1, 2] as const,
  outputs: 1,
  attributes: { alpha: { kind: 'float', default: 1 } as const },
  role: 'computes' as const,
  shape: () => [1],
});

/** Without options, `auto` would open a GPU and threads for each of them. */
const otherBackends = ['1', '1.backend'];

const calls: Readonly<Record<string, Call>> = {
  loadModel: {
    call: octet.loadModel,
    args: () => [graph, loadOptions()],
    insideGraphs: true,
    skip: otherBackends,
  },
  loadFixedModel: {
    call: octet.loadFixedModel,
    args: () => [graph, loadOptions()],
    insideGraphs: true,
    skip: otherBackends,
  },
  'loadModel of bytes': {
    call: octet.loadModel,
    args: () => [bytes, { backend: 'reference' }],
    skip: otherBackends,
  },
  'options of loadModel': {
    // They are looked at first.
    call: (options: never) =>
      octet.loadModel('no such file', options).catch((error: unknown) => {
        if (!String(error).includes('no such file')) throw error;
      }),
    args: () => [{}],
  },
  'loadModel on wasm': {
    call: octet.loadModel,
    args: () => [bytes, { backend: 'wasm', threads: 1, batches: [1] }],
    skip: ['0', ...otherBackends],
  },
  preloadBackend: {
    call: octet.preloadBackend,
    args: () => [{ backend: 'wasm', threads: 1 }],
    skip: otherBackends.map((path) => path.replace('1', '0')),
  },
  compareBackends: {
    call: extending.compareBackends,
    args: () => [model, model, runInputs(), { signal: asyncOptions().signal }],
  },
  describeModel: { call: quantizing.describeModel, args: () => [graph] },
  evaluateClassifiers: {
    call: quantizing.evaluateClassifiers,
    args: () => [
      [ranks('one')],
      [{ label: 0, load: () => Promise.resolve(picture()) }],
      { classes: ['a', 'b'], batch: 1, ...asyncOptions() },
    ],
  },
  imageBatches: {
    call: quantizing.imageBatches,
    args: () => [floatGraph(), [picture()], { batch: 1, preprocessing: preprocessing(), fit: 'crop' }],
  },
  defineOperator: { call: extending.defineOperator, args: () => [definition()] },
  int8Weights: {
    call: extending.int8Weights,
    args: () => [{ outChannels: 2, taps: 1, inChannels: 3 }, new Int8Array(6), new Int8Array(2)],
  },
  planToSvg: {
    call: extending.planToSvg,
    args: () => [structuredClone(plan.memory), structuredClone(plan.steps)],
  },
  decodeModel: {
    call: quantizing.decodeModel,
    args: () => [
      bytes,
      { externalData: () => undefined, operators: [extending.defineOperator(definition())] },
    ],
  },
  encodeModel: { call: quantizing.encodeModel, args: () => [graph], insideGraphs: true },
  calibrate: {
    call: quantizing.calibrate,
    args: () => [floatGraph(), batches(), { imageCount: 2, ...asyncOptions() }],
  },
  quantize: {
    call: quantizing.quantize,
    args: () => [floatGraph(), batches(), { recipe: {}, ...asyncOptions() }],
  },
  quantizeCalibrated: {
    call: quantizing.quantizeCalibrated,
    args: () => [{ ...calibration }, { weights: { bits: 8 }, layers: [{ match: '*' }] }],
  },
  reconstruct: {
    call: quantizing.reconstruct,
    args: () => [{ ...calibration }, batches(), { recipe: {}, ...asyncOptions() }],
  },
  findObstacles: { call: quantizing.findObstacles, args: () => [floatGraph()] },
  readLabels: { call: quantizing.readLabels, args: () => [new Map([['labels', 'cat,dog']])] },
  compareModels: {
    call: quantizing.compareModels,
    args: () => [floatGraph(), graph, batches(), asyncOptions()],
  },
  searchBits: {
    call: quantizing.searchBits,
    args: () => [
      floatGraph(),
      batches(),
      {
        evaluate: () => Promise.resolve({ loss: 0, drop: 0 }),
        maxDrop: 1,
        weightBits: [4],
        recipe: { weights: { rounding: 'nearest' } },
        calibration: { ...calibration },
        ...asyncOptions(),
      },
    ],
  },
  measureSensitivities: {
    call: quantizing.measureSensitivities,
    args: () => [
      floatGraph(),
      batches(),
      {
        evaluate: () => Promise.resolve({ loss: 0, drop: 0 }),
        part: { index: 1, count: 2 },
        weightBits: [4],
        recipe: { weights: { rounding: 'nearest' } },
        calibration: { ...calibration },
        ...asyncOptions(),
      },
    ],
  },
  sweepBits: {
    call: quantizing.sweepBits,
    args: () => [
      { ...calibration },
      {
        evaluate: () => 1,
        weightBits: [8],
        activationBits: [8],
        recipe: { inputBits: 8 },
        ...asyncOptions(),
      },
    ],
  },
  quantizeImage: { call: quantizing.quantizeImage, args: () => [picture().data, 4] },
  quantizeUniformly: {
    call: quantizing.quantizeUniformly,
    args: () => [[0.5], quantizing.uniformQuantizer(0, 1, 8)],
  },
  uniformQuantizer: { call: quantizing.uniformQuantizer, args: () => [0, 1, 8] },
  'uniformQuantizer.index': {
    call: (x: never) => quantizing.uniformQuantizer(0, 1, 8).index(x),
    args: () => [0.5],
  },
  'uniformQuantizer.value': {
    call: (i: never) => quantizing.uniformQuantizer(0, 1, 8).value(i),
    args: () => [3],
  },
  openFloatSession: { call: quantizing.openFloatSession, args: () => [floatGraph(), ['relu_1'], {}] },
  'FloatSession.run': {
    call: async (batch: never) => {
      const session = await quantizing.openFloatSession(floatGraph(), [floatGraph().outputs[0].name]);
      return session.run(batch).finally(() => session.dispose());
    },
    args: batches,
  },
  decodePicture: { call: octet.decodePicture, args: () => [png, { maxPixels: 100, name: 'it' }] },
  pictureFromPixels: { call: octet.pictureFromPixels, args: () => [4, 4, new Uint8ClampedArray(64)] },
  softmax: { call: octet.softmax, args: () => [[1, 2]] },
  topK: { call: octet.topK, args: () => [[0.1, 0.9], ['a', 'b'], 1] },
  resize: { call: octet.resize, args: () => [picture(), 3, 3, { fit: 'crop' }] },
  nonMaxSuppression: {
    call: vision.nonMaxSuppression,
    args: () => [
      [0, 0, 1, 1],
      [0.5],
      { threshold: 0.5, overlap: 'union', classes: [1], minScore: 0, limit: 5 },
    ],
  },
  argMax: { call: vision.argMax, args: () => [[1, 2, 3, 4], 2, 1] },
  letterbox: { call: vision.letterbox, args: () => [picture(), 6, 5, { fill: 0, align: 'start' }] },
  placementOf: { call: vision.placementOf, args: () => [{ width: 4, height: 5 }, 3, 3, 'crop'] },
  pointsToPicture: { call: vision.pointsToPicture, args: () => [[1, 2], placement()] },
  rotatedBoxes: {
    call: vision.rotatedBoxes,
    args: () => [
      { width: 2, height: 1, data: [1, 0] },
      { threshold: 0.5, minScore: 0, minSide: 0, grow: 1 },
    ],
  },
  mapToPicture: {
    call: vision.mapToPicture,
    args: () => [
      { width: 2, height: 1, data: [1, 2] },
      placement(),
      { inputWidth: 4, inputHeight: 4, interpolation: 'nearest' },
    ],
  },
  readSheet: {
    call: quantizing.readSheet,
    args: () => [png, { tile: 4, columns: 1, classes: ['a'], labels: [0], indices: [0], source: 'here' }],
  },
  'Model.plan': { call: (...args: [never]) => model.plan(...args), args: () => [1] },
  'Model.run': {
    call: (...args: [never]) => model.run(...args),
    args: () => [runInputs(), { outputs: 'cpu' }],
  },
  'Model.run of a picture': {
    call: (...args: [never]) => model.run(...args),
    args: () => [{ input: [picture()] }],
  },
  'Model.classify': {
    call: (...args: [never]) => model.classify(...args),
    args: () => [picture(), { topK: 2 }],
  },
  'Model.values': {
    call: (...args: [never]) => model.values(...args),
    args: () => [runInputs(), { tensors: ['input'] }],
  },
  'Model.verify': { call: (...args: [never]) => model.verify(...args), args: () => [runInputs(), {}] },
  'Model.profile': {
    call: (...args: [never]) => model.profile(...args),
    args: () => [{ batch: 1, repetitions: 1, ...asyncOptions() }],
  },
  inspectModel: {
    call: inspecting.inspectModel,
    args: () => [floatGraph(), { target: 'wasm', batch: 1, quantized: graph }],
  },
  'inspectModel for a device of one’s own': {
    call: inspecting.inspectModel,
    args: () => [graph, { target: structuredClone(inspecting.deviceProfile('webgpu-minimum')) }],
  },
  withMeasuredTimes: {
    call: inspecting.withMeasuredTimes,
    args: () => [
      inspecting.inspectModel(graph),
      { batch: 1, totalMs: 1, operations: plan.operations.map(({ writes }) => ({ writes, ms: 1 })) },
    ],
  },
  inspectionHtml: {
    call: inspecting.inspectionHtml,
    args: () => [
      inspecting.inspectModel(graph),
      { before: inspecting.inspectModel(graph), pictures: [{ name: 'grey', picture: picture() }] },
    ],
  },
  diffModels: {
    call: inspecting.diffModels,
    args: () => [inspecting.inspectModel(graph), inspecting.inspectModel(graph)],
  },
  inspectionSvg: {
    call: inspecting.inspectionSvg,
    args: () => [inspecting.inspectModel(graph), 'operations'],
  },
  toDot: { call: inspecting.toDot, args: () => [inspecting.inspectModel(graph), 'nodes'] },
  makeGoldenPack: {
    call: inspecting.makeGoldenPack,
    args: () => [
      bytes,
      [{ name: 'grey', inputs: { input: new Float32Array(48) } }],
      { backend: 'reference', withModel: false, withTensors: false, ...asyncOptions() },
    ],
    skip: ['2', '2.backend'],
  },
  verifyGoldenPack: {
    call: inspecting.verifyGoldenPack,
    args: () => [golden, { backend: 'reference', model: bytes, ...asyncOptions() }],
    skip: ['1', '1.backend'],
  },
  deviceProfile: { call: inspecting.deviceProfile, args: () => ['wasm'] },
  parseDeviceProfile: {
    call: inspecting.parseDeviceProfile,
    args: () => [structuredClone(inspecting.deviceProfile('wasm'))],
  },
  measureDevice: {
    call: inspecting.measureDevice,
    args: () => [{ backend: 'wasm', threads: 1 }],
    // Without a backend the GPU would be measured each time.
    skip: ['0', '0.backend'],
  },
  compareWithOnnxRuntime: {
    call: inspecting.compareWithOnnxRuntime,
    args: () => [
      withPreprocessing(graph),
      [picture()],
      { backend: 'reference', dump: true, imageCount: 1, ...asyncOptions() },
    ],
    skip: ['2', '2.backend'],
  },
  analyzeSensitivity: {
    call: inspecting.analyzeSensitivity,
    args: () => [withPreprocessing(floatGraph()), graph, [picture()], { imageCount: 1, ...asyncOptions() }],
    skip: ['3'],
  },
  raiseBits: {
    call: inspecting.raiseBits,
    args: () => [
      withPreprocessing(floatGraph()),
      [picture()],
      {
        evaluate: () => Promise.resolve({ loss: 0, drop: 0 }),
        maxDrop: 1,
        recipe: { weights: { rounding: 'nearest' } },
        ...asyncOptions(),
      },
    ],
  },
  measureAccuracy: {
    call: inspecting.measureAccuracy,
    args: () => [
      withPreprocessing(floatGraph()),
      graph,
      [picture()],
      { backend: 'reference', imageCount: 1, ...asyncOptions() },
    ],
    skip: ['3', '3.backend'],
  },
  'Model.dispose': {
    call: async () => (await octet.loadModel(graph, { backend: 'reference' })).dispose(),
    args: () => [1],
  },
};

test('the table has every exported function', () => {
  const exported = [octet, quantizing, vision, inspecting, extending]
    .flatMap((entry): [string, unknown][] => Object.entries(entry))
    .filter(([, value]) => !(value instanceof Function && value.prototype instanceof Error))
    .map(([name]) => name);
  expect(new Set(exported).size, 'each name has one entry').toBe(exported.length);
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(model))
    .filter((name) => name !== 'constructor' && typeof model[name as keyof octet.Model] === 'function')
    .map((name) => `Model.${name}`);
  expect(Object.keys(calls)).toEqual(expect.arrayContaining([...exported, ...methods]));
});

describe.each(Object.entries(calls))('%s', (_, entry) => {
  test('succeeds as it is', async () => {
    await run(entry, entry.args());
  });

  test('refuses wrong values with an OctetError, or takes them', async () => {
    const foreign: string[] = [];
    for (const path of pathsIn(entry.args(), entry.insideGraphs)) {
      if (path.length === 0 || entry.skip?.includes(path.join('.'))) continue;
      for (const [name, make] of Object.entries(wrongValues)) {
        try {
          await run(entry, replaced(entry.args(), path, make()) as unknown[]);
        } catch (error) {
          if (error instanceof octet.OctetError) continue;
          foreign.push(
            `${path.map(String).join('.')} = ${name}: ${error instanceof Error ? error.stack?.split('\n').slice(0, 3).join(' ') : String(error)}`,
          );
        }
      }
    }
    expect(foreign).toEqual([]);
  });
});
