/** Inference, off the page's thread: holds the model and answers what protocol.ts lists. */
import * as Comlink from 'comlink';
import {
  decodePicture,
  InputError,
  loadFixedModel,
  ModelError,
  pictureFromPixels,
  resize,
  type FixedModel,
  type Picture,
} from 'octetjs';
import type { Operation } from 'octetjs/extend';
import { download } from './download.ts';
import { Jobs } from './jobs.ts';
import type {
  Activation,
  EngineApi,
  IntegerHistogram,
  LayerInfo,
  ModelFile,
  ModelInfo,
  OnProgress,
  Pixels,
} from './protocol.ts';
import { profileOf } from './profile.ts';
import { throttled } from './throttled.ts';
import { titleOf, weightsOf } from './titles.ts';

const jobs = new Jobs();
let current: HeldModel | null = null;
/** The page's own model as a file: another backend needs no second download, and no network. */
let kept: { readonly url: string; readonly bytes: Uint8Array } | null = null;

export const engine: Omit<EngineApi, 'preload'> = {
  load: (job, source, backend, onProgress) =>
    jobs.run(job, async (signal) => {
      const started = performance.now();
      const report = throttled(onProgress);
      const bytes = await bytesOf(source, signal, report);
      if (!(source instanceof File)) kept = { url: source.url, bytes };
      const model = await loadFixedModel(bytes, { backend, signal, onProgress: report }).catch(
        (error: unknown) => {
          throw isOfFloatModel(error) ? new FloatModelError(error.message) : error;
        },
      );
      try {
        const info = await describe(model, bytes.length);
        // A GPU's first run allocates and fills caches: not what a visitor's picture should be charged with. The WebAssembly backend runs its
        // kernels while it loads.
        if (model.backend === 'webgpu') await model.classify(blank(info.input), { signal });
        signal.throwIfAborted();
        jobs.abortOthers(job);
        current?.retire();
        current = new HeldModel(model, () => bytesOf(source, signal, report));
        return { ...info, loadMs: performance.now() - started };
      } catch (error) {
        model.dispose();
        throw error;
      }
    }),

  async prepare(source) {
    const { width, height } = current?.model.inputs[0] ?? { width: 32, height: 32 };
    return send(resize(await decode(source), width, height));
  },

  classify: (pixels) =>
    withModel(async (model) => {
      const { predictions, timings } = await model.classify(pixels, {
        topK: Math.max(model.labels.length, 10),
      });
      // Without labels the library gives an index.
      const named = model.labels.length > 0;
      const guesses = predictions.map(({ label, ...rest }) => ({
        label: named ? label : `class ${label}`,
        ...rest,
      }));
      return { guesses, timings };
    }),

  classifyAll: (job, { data, count }, batch, onPredictions) =>
    jobs.run(job, (signal) =>
      withModel(async (model) => {
        const side = Math.sqrt(data.length / count / 3);
        const pictures = Array.from({ length: count }, (_, index): Picture => ({
          width: side,
          height: side,
          data: data.subarray(index * side * side * 3, (index + 1) * side * side * 3),
        }));
        for (let first = 0; first < count; first += batch) {
          const { predictions } = await model.classify(pictures.slice(first, first + batch), {
            topK: 1,
            signal,
          });
          onPredictions(
            first,
            Uint8Array.from(predictions, ([best]) => best.index),
          );
          // A turn of the event loop, so that messages (abort, a picture chosen meanwhile) are heard.
          await new Promise((resolve) => setTimeout(resolve));
          signal.throwIfAborted();
        }
      }),
    ),

  activations: (pixels) =>
    withModel(async (model) => {
      const tensors = await model.values({ [model.inputs[0].name]: pixels });
      const list = Array.from(
        tensors.values(),
        ({ name, shape: [, height, width, channels], data, scale, zeroPoint }): Activation => ({
          name,
          shape: [height, width, channels],
          data,
          scale: typeof scale === 'number' ? scale : scale[0],
          zeroPoint,
        }),
      );
      return Comlink.transfer(
        list,
        list.map(({ data }) => data.buffer),
      );
    }),

  explain: (layer, at, pixels) =>
    withModel(async (model) => (await import('./explain.ts')).explain(model, pixels, layer, at)),

  weightHistogram: (layer) =>
    withModel((model) => {
      const operation = model.program.operations.find(({ name }) => name === layer);
      const weights = operation && weightsOf(operation);
      return weights ? histogram(weights) : null;
    }),

  profile: (job, onProgress) =>
    jobs.run(job, (signal) =>
      withModel((model) => model.profile({ signal, onProgress: throttled(onProgress) })),
    ),

  verify: (job, pixels) =>
    jobs.run(job, (signal) =>
      withModel((model) => model.verify({ [model.inputs[0].name]: pixels }, { signal })),
    ),

  verifyPack: (job, pack) =>
    jobs.run(job, async (signal) => {
      const [{ verifyGoldenPack }, bytes] = await Promise.all([import('octetjs/inspect'), read(pack)]);
      const backend = current?.model.backend ?? 'auto';
      return verifyGoldenPack(bytes, { backend, signal }).catch(async (error: unknown) => {
        if (!current || !(error instanceof InputError && error.message.includes('without its model')))
          throw error;
        return verifyGoldenPack(bytes, { backend, signal, model: await current.file() });
      });
    }),

  report: () =>
    withModel(async (model) => {
      const [{ inspectionHtml, inspectModel }, { decodeModel }, bytes] = await Promise.all([
        import('octetjs/inspect'),
        import('octetjs/quantize'),
        current!.file(),
      ]);
      return inspectionHtml(inspectModel(decodeModel(bytes), { target: profileOf(model) }));
    }),

  async deviceProfile(backend) {
    const { measureDevice } = await import('octetjs/inspect');
    return `${JSON.stringify(await measureDevice({ backend }), undefined, 2)}\n`;
  },

  abort: (job) => jobs.abort(job),
};

/** Of a model that the page has to quantize first. */
class FloatModelError extends Error {
  override readonly name = 'FloatModelError';
}

/** What the library says of one, and of nothing else. */
function isOfFloatModel(error: unknown): error is ModelError {
  return error instanceof ModelError && error.message.includes('it has no QuantizeLinear');
}

function blank({ width, height }: ModelInfo['input']): Pixels {
  return { width, height, data: new Uint8Array(width * height * 3) };
}

/** A model that another may replace at any time: it is disposed of when the last call on it has ended. */
class HeldModel {
  readonly model: FixedModel;
  /** Bytes of its file. */
  readonly file: () => Promise<Uint8Array>;
  #calls = 0;
  #retired = false;

  constructor(model: FixedModel, file: () => Promise<Uint8Array>) {
    this.model = model;
    this.file = file;
  }

  async use<T>(work: (model: FixedModel) => T | Promise<T>): Promise<T> {
    this.#calls++;
    try {
      return await work(this.model);
    } finally {
      this.#calls--;
      this.#disposeWhenIdle();
    }
  }

  retire(): void {
    this.#retired = true;
    this.#disposeWhenIdle();
  }

  #disposeWhenIdle(): void {
    if (this.#retired && this.#calls === 0) this.model.dispose();
  }
}

async function withModel<T>(work: (model: FixedModel) => T | Promise<T>): Promise<T> {
  if (!current) throw new InputError('no model is loaded');
  return current.use(work);
}

async function bytesOf(source: ModelFile, signal: AbortSignal, onProgress: OnProgress): Promise<Uint8Array> {
  if (source instanceof File) return read(source);
  if (source.bytes) return source.bytes;
  return kept?.url === source.url ? kept.bytes : download(source.url, signal, onProgress);
}

async function read(file: Blob): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (cause) {
    throw new InputError('the file cannot be read: it is a folder, or has gone since it was chosen', {
      cause,
    });
  }
}

async function decode(source: Blob | ImageBitmap): Promise<Picture> {
  if (source instanceof Blob) {
    const name = source instanceof File && source.name ? source.name : 'the pasted picture';
    return decodePicture(await read(source), { name });
  }
  const { width, height } = source;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  context.drawImage(source, 0, 0);
  source.close();
  return pictureFromPixels(width, height, context.getImageData(0, 0, width, height).data);
}

function send(picture: Picture): Pixels {
  const data = Uint8Array.from(picture.data);
  return Comlink.transfer({ width: picture.width, height: picture.height, data }, [data.buffer]);
}

async function describe(model: FixedModel, bytes: number): Promise<Omit<ModelInfo, 'loadMs'>> {
  const input = model.inputs[0];
  if (model.inputs.length !== 1 || input?.channels !== 3) {
    throw new InputError('this page shows models of one RGB picture; run others with the library or the CLI');
  }
  if (!model.preprocessing) {
    throw new InputError(
      'the file does not say how pixels are normalized: quantize it with `octet quantize --mean … --std …`',
    );
  }
  const [, ...classes] = model.outputs[0].shape;
  const { program } = model;
  const plan = await model.plan(1);
  const planned = new Map(plan.operations.map((operation) => [operation.name, operation]));
  const tensor = (id: number) => program.tensors[id];
  const layers = program.operations.map((operation: Operation): LayerInfo => {
    const [from, to] = [tensor(operation.inputs[0]), tensor(operation.output)];
    const step = planned.get(operation.name);
    return {
      name: operation.name,
      kind: operation.kind,
      title: titleOf(operation, from, to),
      inputShape: from.image,
      outputShape: to.image,
      outputTensor: to.name,
      outputBytes: to.image[0] * to.image[1] * to.image[2] * (to.type === 'int8' ? 1 : 4),
      macs: step?.macs ?? 0,
      weights: weightsOf(operation)?.length ?? 0,
      variant: step?.variant ?? null,
      family: step?.family ?? null,
    };
  });
  return {
    name: model.name,
    backend: model.backend,
    backendReason: model.backendReason,
    adapter: model.adapter,
    threads: model.threads,
    labels: model.labels,
    classCount: classes.reduce((product, size) => product * size, 1),
    preprocessing: model.preprocessing,
    input: { width: input.width, height: input.height },
    bytes,
    layers,
    macs: layers.reduce((sum, { macs }) => sum + macs, 0),
    memory: plan.memory,
    constantBytes: plan.constantBytes,
    dispatches: plan.dispatches,
  };
}

function histogram(values: Int8Array): IntegerHistogram {
  const counts = new Uint32Array(256);
  for (const value of values) counts[value + 128]++;
  return { min: -128, counts };
}
