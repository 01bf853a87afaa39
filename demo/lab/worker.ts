/** The float model: run by ONNX Runtime, and quantized anew at other bits. Everything that the int8 page can do without. */
import * as Comlink from 'comlink';
import { InputError, loadModel, softmax, topK, type Picture, type ProgressEvent } from 'octetjs';
import {
  calibrate,
  decodeModel,
  imageBatches,
  openFloatSession,
  quantizeCalibrated,
  readSheet,
  type Calibration,
  type FloatSession,
  type Graph,
} from 'octetjs/quantize';
import * as onnxRuntime from 'onnxruntime-web/wasm';
import runtimeScript from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import runtimeWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import calibrationIndex from '../../models/cifar10/calibration-512.json' with { type: 'json' };
import calibrationSheet from '../../models/cifar10/calibration-512.png';
import floatModel from '../../models/vgg16-cifar10.onnx';
import { download } from '../engine/download.ts';
import { Jobs } from '../engine/jobs.ts';
import { throttled } from '../engine/throttled.ts';
import type { ChannelWeights, LabApi } from './protocol.ts';

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
/** Scales of each layer's weights by output channel, by bits of the weights: what the quantizer chose last. */
const weightScales = new Map<number, ReadonlyMap<string, Float32Array>>();

const lab: LabApi = {
  open: (job, onProgress) =>
    jobs.run(job, async (signal) => {
      const bytes = await download(floatModel, signal, throttled(onProgress));
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
      float = { graph, session };
    }),

  async classify(pixels) {
    const started = performance.now();
    const [probabilities] = await run([pixels]);
    return { guesses: topK(probabilities, labels(), labels().length), ms: performance.now() - started };
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

  tryBits: (job, { weights, activations }, { data, labels: trueClasses }, onProgress) =>
    jobs.run(job, async (signal) => {
      const report = throttled(onProgress);
      const calibrated = await calibrateOnce(report);
      signal.throwIfAborted();
      const started = performance.now();
      report({ stage: 'quantize', done: 0, total: 1 });
      const { graph } = quantizeCalibrated(calibrated, {
        weights: { bits: weights },
        activations: { bits: activations },
      });
      const quantizeMs = performance.now() - started;
      weightScales.set(weights, scalesOf(graph));
      const total = trueClasses.length;
      const pictures = cut(data, total);
      using model = await loadModel(graph, { backend: 'auto', signal });
      let correct = 0;
      const batch = 10;
      for (let first = 0; first < total; first += batch) {
        const { predictions } = await model.classify(pictures.slice(first, first + batch), {
          topK: 1,
          signal,
        });
        predictions.forEach(([best], index) => {
          if (best.index === trueClasses[first + index]) correct++;
        });
        report({ stage: 'evaluate', done: Math.min(first + batch, total), total });
        await turn();
        signal.throwIfAborted();
      }
      return { weightBits: weights, activationBits: activations, correct, total, quantizeMs };
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

function labels(): readonly string[] {
  return calibrationIndex.classes;
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

/** What the activations' ranges are: gathered once, it serves all bits. */
function calibrateOnce(onProgress: (event: ProgressEvent) => void): Promise<Calibration> {
  calibration ??= (async () => {
    const { graph } = opened();
    const png = await (await fetch(calibrationSheet)).arrayBuffer();
    const { pictures } = await readSheet(new Uint8Array(png), calibrationIndex);
    const some = pictures.slice(0, CALIBRATION_PICTURES);
    return calibrate(graph, imageBatches(graph, some, { batch: CALIBRATION_BATCH }), {
      onnxRuntime,
      onProgress,
      imageCount: some.length,
    });
  })().catch((error: unknown) => {
    calibration = null;
    throw error;
  });
  return calibration;
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
