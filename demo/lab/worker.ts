/** The float model: run by ONNX Runtime, and quantized anew at other bits. Everything that the int8 page can do without. */
import * as Comlink from 'comlink';
import {
  decodePicture,
  InputError,
  loadModel,
  resize,
  softmax,
  topK,
  type Picture,
  type ProgressEvent,
} from 'octetjs';
import {
  calibrate,
  compareModels,
  decodeModel,
  describeModel,
  encodeModel,
  findObstacles,
  imageBatches,
  openFloatSession,
  quantizeCalibrated,
  readLabels,
  readSheet,
  reconstruct,
  type Batch,
  type Calibration,
  type FloatSession,
  type Graph,
  type RecipeInput,
} from 'octetjs/quantize';
import * as onnxRuntime from 'onnxruntime-web/wasm';
import runtimeScript from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import runtimeWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import calibrationIndex from '../../models/cifar10/calibration-512.json' with { type: 'json' };
import calibrationSheet from '../../models/cifar10/calibration-512.png';
import { download } from '../engine/download.ts';
import { Jobs } from '../engine/jobs.ts';
import { throttled } from '../engine/throttled.ts';
import type { Pixels } from '../engine/protocol.ts';
import type { ChannelWeights, FloatDescription, LabApi, NamedPixels } from './protocol.ts';

/** Training pictures to calibrate on. The CLI takes all 512; the accuracy here differs little, and nobody likes to wait. */
const CALIBRATION_PICTURES = 64;
const CALIBRATION_BATCH = 8;
/** Pictures that the float model takes at once when it classifies many. */
const FLOAT_BATCH = 8;
/** Bins of a histogram of weights at most, odd: zero is in the middle of one. Few weights get few. */
const HISTOGRAM_BINS = 121;

interface FloatModel {
  readonly graph: Graph;
  readonly session: FloatSession;
}

const jobs = new Jobs();
let float: FloatModel | null = null;
let calibration: Promise<Calibration> | null = null;
/** What a visitor's own model was quantized on. */
let ownPictures: readonly NamedPixels[] | null = null;
/** Scales of each layer's weights by output channel, by bits of the weights: what the quantizer chose last. */
const weightScales = new Map<number, ReadonlyMap<string, Float32Array>>();

const lab: LabApi = {
  open: (job, source, onProgress) =>
    jobs.run(job, async (signal) => {
      const bytes =
        source instanceof File
          ? new Uint8Array(await source.arrayBuffer())
          : await download(source, signal, throttled(onProgress));
      onnxRuntime.env.wasm.wasmPaths = {
        mjs: new URL(runtimeScript, import.meta.url).href,
        wasm: new URL(runtimeWasm, import.meta.url).href,
      };
      onnxRuntime.env.wasm.numThreads = self.crossOriginIsolated
        ? Math.min(4, navigator.hardwareConcurrency)
        : 1;
      const graph = decodeModel(bytes);
      const session = await openFloatSession(
        graph,
        graph.outputs.map(({ name }) => name),
        { onnxRuntime },
      );
      signal.throwIfAborted();
      await float?.session.dispose();
      float = { graph, session };
      calibration = null;
      ownPictures = null;
      weightScales.clear();
      return describe(graph);
    }),

  async prepare(file) {
    const { width, height } = inputOf(opened().graph);
    const picture = resize(
      await decodePicture(new Uint8Array(await file.arrayBuffer()), { name: file.name }),
      width,
      height,
    );
    const data = Uint8Array.from(picture.data);
    return Comlink.transfer({ width, height, data }, [data.buffer]);
  },

  async samplePictures(count) {
    const { width, height } = inputOf(opened().graph);
    return (await sheetPictures(count)).map((picture) => {
      const { data } = resize(picture, width, height);
      return { width, height, data: Uint8Array.from(data) };
    });
  },

  quantize: (job, metadata, named, onProgress) =>
    jobs.run(job, async (signal) => {
      const report = throttled(onProgress);
      const held = opened();
      const graph: Graph = {
        ...held.graph,
        metadata: new Map([...held.graph.metadata, ...Object.entries(metadata)]),
      };
      float = { ...held, graph };
      calibration = null;
      ownPictures = named;
      const pictures = named.map(({ pixels }) => pixels);
      const calibrated = await calibrateOnce(report);
      signal.throwIfAborted();
      report({ stage: 'quantize', done: 0, total: 1 });
      const result = quantizeCalibrated(calibrated);
      const bytes = new Uint8Array(encodeModel(result.graph));
      const batches = imageBatches(graph, pictures, { batch: CALIBRATION_BATCH });
      const values = await compareModels(graph, result.graph, batches, {
        onnxRuntime,
        imageCount: pictures.length,
        onProgress: report,
        signal,
      });
      const same = await countRight(result.graph, pictures, await floatAnswers(pictures), signal, report);
      return Comlink.transfer(
        {
          bytes,
          floatBytes: result.report.floatBytes,
          same,
          of: pictures.length,
          sqnr: values.find(({ name }) => name === graph.outputs[0].name)?.sqnr ?? NaN,
          layers: values.map(({ node, op, sqnr }) => ({ name: node, op, sqnr })),
        },
        [bytes.buffer],
      );
    }),

  inspect: (job, int8, target, onProgress) =>
    jobs.run(job, async (signal) => {
      const { inspectModel, inspectionHtml, measureAccuracy } = await import('octetjs/inspect');
      const named = ownPictures ?? [];
      const quantized = decodeModel(new Uint8Array(await int8.arrayBuffer()));
      const pictures = named.map(({ pixels }) => pixels);
      const accuracy = await measureAccuracy(opened().graph, quantized, pictures, {
        onnxRuntime,
        imageCount: pictures.length,
        onProgress: throttled(onProgress),
        signal,
      });
      const inspection = inspectModel(quantized, { target, kernels: true });
      return inspectionHtml(
        { ...inspection, accuracy },
        { pictures: named.map(({ title, pixels }) => ({ name: title, picture: pixels })) },
      );
    }),

  async classify(pixels) {
    const started = performance.now();
    const [probabilities] = await run([pixels]);
    const names = readLabels(opened().graph.metadata);
    return { guesses: topK(probabilities, names, probabilities.length), ms: performance.now() - started };
  },

  classifyAll: (job, { data, count }, onPredictions) =>
    jobs.run(job, async (signal) => {
      const pictures = cut(data, count);
      for (let first = 0; first < count; first += FLOAT_BATCH) {
        const probabilities = await run(pictures.slice(first, first + FLOAT_BATCH));
        onPredictions(
          first,
          Uint8Array.from(probabilities, (row) => topK(row, [], 1)[0].index),
        );
        await turn();
        signal.throwIfAborted();
      }
    }),

  tryBits: (job, { weights, activations, reconstruct: isReconstructed }, given, onProgress) =>
    jobs.run(job, async (signal) => {
      const report = throttled(onProgress);
      const calibrated = await calibrateOnce(report);
      signal.throwIfAborted();
      const started = performance.now();
      report({ stage: 'quantize', done: 0, total: 1 });
      const recipe: RecipeInput = { weights: { bits: weights }, activations: { bits: activations } };
      const reconstruction = isReconstructed
        ? await reconstruct(calibrated, await calibrationBatches(), {
            recipe,
            onnxRuntime,
            signal,
            onProgress: report,
          })
        : undefined;
      const { graph } = quantizeCalibrated(calibrated, recipe, reconstruction);
      const quantizeMs = performance.now() - started;
      weightScales.set(weights, scalesOf(graph));
      const pictures = given ? cut(given.data, given.labels.length) : ownPixels();
      const right = given?.labels ?? (await floatAnswers(pictures));
      const correct = await countRight(graph, pictures, right, signal, report);
      return {
        weightBits: weights,
        activationBits: activations,
        correct,
        total: pictures.length,
        quantizeMs,
      };
    }),

  async layers() {
    const { layers } = await calibrateOnce(() => undefined);
    return Array.from(layers.weighted.values(), ({ node, weights }) => ({
      name: node.name,
      channels: weights.shape[0],
    }));
  },

  async channelWeights(layer, channel, weightBits): Promise<ChannelWeights | null> {
    const { layers } = await calibrateOnce(() => undefined);
    const scales = weightScales.get(weightBits)?.get(layer);
    if (!scales) return null;
    const { data, shape } = layers.weighted.get(layer)!.weights;
    const count = data.length / shape[0];
    const weights = (data as Float32Array).subarray(channel * count, (channel + 1) * count);
    const scale = scales.length === 1 ? scales[0] : scales[channel];
    const most = 2 ** (weightBits - 1) - 1;
    const limit = weights.reduce((largest, weight) => Math.max(largest, Math.abs(weight)), most * scale);
    const counts = new Uint32Array(Math.min(HISTOGRAM_BINS, 2 * Math.ceil(Math.sqrt(count)) + 21));
    for (const weight of weights) {
      const bin = Math.floor(((weight + limit) / (2 * limit)) * counts.length);
      counts[Math.min(counts.length - 1, bin)]++;
    }
    return { layer, channel, count, counts, limit, scale, most };
  },

  abort: (job) => jobs.abort(job),
};

Comlink.expose(lab);

function opened(): FloatModel {
  if (!float) throw new InputError('the float model is not loaded yet');
  return float;
}

/** By layer: the scales of the DequantizeLinear that its weights stand behind. */
function scalesOf({ nodes, constants }: Graph): ReadonlyMap<string, Float32Array> {
  const producers = new Map(nodes.map((node) => [node.outputs[0], node]));
  const scales = new Map<string, Float32Array>();
  for (const { name, inputs } of nodes) {
    const dequantize = producers.get(inputs[1]);
    if (dequantize?.op !== 'DequantizeLinear' || !constants.has(dequantize.inputs[0])) continue;
    scales.set(name, constants.get(dequantize.inputs[1])!.data as Float32Array);
  }
  return scales;
}

/** Class probabilities of each picture. */
async function run(pictures: readonly Picture[]): Promise<Float64Array[]> {
  const { graph, session } = opened();
  const results: Float64Array[] = [];
  for await (const batch of imageBatches(graph, pictures, { batch: pictures.length })) {
    const { data, shape } = (await session.run(batch)).get(graph.outputs[0].name)!;
    const classes = data.length / shape[0];
    for (let row = 0; row < shape[0]; row++)
      results.push(softmax(data.subarray(row * classes, (row + 1) * classes)));
  }
  return results;
}

/** Best class of each picture. */
async function floatAnswers(pictures: readonly Picture[]): Promise<number[]> {
  const answers: number[] = [];
  for (let first = 0; first < pictures.length; first += FLOAT_BATCH) {
    const probabilities = await run(pictures.slice(first, first + FLOAT_BATCH));
    answers.push(...probabilities.map((row) => topK(row, [], 1)[0].index));
  }
  return answers;
}

/** On how many pictures the quantized `graph` says what is right. */
async function countRight(
  graph: Graph,
  pictures: readonly Picture[],
  right: readonly number[],
  signal: AbortSignal,
  report: (event: ProgressEvent) => void,
): Promise<number> {
  using model = await loadModel(graph, { backend: 'auto', signal });
  const total = pictures.length;
  let correct = 0;
  const batch = 10;
  for (let first = 0; first < total; first += batch) {
    const { predictions } = await model.classify(pictures.slice(first, first + batch), { topK: 1, signal });
    predictions.forEach(([best], index) => {
      if (best.index === right[first + index]) correct++;
    });
    report({ stage: 'evaluate', done: Math.min(first + batch, total), total });
    await turn();
    signal.throwIfAborted();
  }
  return correct;
}

function inputOf(graph: Graph): FloatDescription['input'] {
  const [, channels, height, width] = graph.inputs[0]?.shape ?? [];
  if (
    graph.inputs.length !== 1 ||
    channels !== 3 ||
    typeof height !== 'number' ||
    typeof width !== 'number'
  ) {
    throw new InputError(
      'this page takes models of one RGB picture, [N, 3, height, width]: quantize others with the library or the command line',
    );
  }
  return { width, height };
}

function describe(graph: Graph): FloatDescription {
  const { layers, parameters, macs } = describeModel(graph);
  const { problems, hostNodes } = findObstacles(graph);
  const reasons = new Map(hostNodes.map(({ name, reason }) => [name, reason]));
  const classes = graph.outputs[0].shape.at(-1);
  return {
    input: inputOf(graph),
    classes: typeof classes === 'number' ? classes : 0,
    labels: readLabels(graph.metadata),
    saysNormalization: graph.metadata.has('mean') && graph.metadata.has('std'),
    parameters,
    macs,
    nodes: layers.map((layer) => ({
      name: layer.name,
      op: layer.op,
      shape: layer.shape,
      macs: layer.macs,
      reason: reasons.get(layer.name) ?? null,
    })),
    problems: problems.map(({ node, op, reason }) => `${node} (${op}): ${reason}`),
  };
}

async function sheetPictures(count: number): Promise<readonly Picture[]> {
  const png = await (await fetch(calibrationSheet)).arrayBuffer();
  const { pictures } = await readSheet(new Uint8Array(png), calibrationIndex);
  return pictures.slice(0, count);
}

/** What the activations' ranges are: gathered once, it serves all bits. */
function calibrateOnce(onProgress: (event: ProgressEvent) => void): Promise<Calibration> {
  calibration ??= (async () => {
    const batches = await calibrationBatches();
    return calibrate(opened().graph, batches, {
      onnxRuntime,
      onProgress,
      imageCount: batches.reduce((sum, { shape }) => sum + shape[0], 0),
    });
  })().catch((error: unknown) => {
    calibration = null;
    throw error;
  });
  return calibration;
}

async function calibrationBatches(): Promise<Batch[]> {
  const { graph } = opened();
  const some = ownPictures ? ownPixels() : await sheetPictures(CALIBRATION_PICTURES);
  const batches: Batch[] = [];
  for await (const batch of imageBatches(graph, some, { batch: CALIBRATION_BATCH })) batches.push(batch);
  return batches;
}

function ownPixels(): readonly Pixels[] {
  return (ownPictures ?? []).map(({ pixels }) => pixels);
}

function cut(data: Uint8Array, count: number): Picture[] {
  const size = data.length / count;
  const side = Math.sqrt(size / 3);
  return Array.from({ length: count }, (_, index) => ({
    width: side,
    height: side,
    data: data.subarray(index * size, (index + 1) * size),
  }));
}

/** A turn of the event loop, so that messages are heard. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
