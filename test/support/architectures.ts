/** Float networks of test/architectures/export.py: quantized on smooth random images, run, and held to float and to ONNX Runtime. */
import { OctetError } from '../../src/errors.ts';
import { loadFixedModel } from '../../src/model/load.ts';
import type { Model, OutputTensor } from '../../src/model/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import type { HostOperation } from '../../src/program/program.ts';
import { decibels, quantize } from '../../src/quantize/quantize.ts';
import { agreementWithOrt } from './agreement.ts';
import { deviceShare, isHost } from './interop.ts';
import { type OrtResults, runOrt } from './ort.ts';
import { createRandom, type Random } from './random.ts';

/** A row of test/architectures/manifest.json. */
export interface Architecture {
  readonly name: string;
  readonly group: string;
  /** Of PyTorch. */
  readonly exporter: 'torchscript' | 'dynamo';
  /** Of one image, [C, H, W], or [C, L] of a signal. */
  readonly shape: readonly number[];
  readonly sha256: string;
}

export interface ArchitectureVerdict {
  /** Why it does not quantize, load or run. */
  readonly refusal?: string;
  /** Multiply-adds that run in integers on the device, of all. */
  readonly share: number;
  /** What runs on the host in real numbers. */
  readonly host: readonly HostOperation[];
  /** Signal-to-quantization-noise ratio against the float model in decibels, of the output where it is least. */
  readonly sqnr: number;
  /** The same of the quantized file in ONNX Runtime. */
  readonly ortSqnr: number;
  /** Largest difference from ONNX Runtime of what an operation makes of its integers, in steps. */
  readonly steps: number;
  /** Backends whose bytes differ from those of the reference. */
  readonly different: readonly string[];
}

const CALIBRATION_IMAGES = 16;
const IMAGES = 4;
/** Pixels along a side of the patches whose values go together, as those of pictures do. */
const PATCH = 4;

/**
 * Quantizes a float file by `quantize`'s defaults and runs it on the reference, on WebAssembly and, where given, on a WebGPU device: there one
 * image, since software adapters are slow.
 */
export async function judgeArchitecture(
  bytes: Uint8Array,
  shape: readonly number[],
  device?: GPUDevice,
): Promise<ArchitectureVerdict> {
  const random = createRandom(1);
  const calibration = smoothImages(random, CALIBRATION_IMAGES, shape);
  const images = smoothImages(random, IMAGES, shape);
  try {
    const float = decodeModel(bytes);
    const { graph } = await quantize(float, [{ data: calibration, shape: [CALIBRATION_IMAGES, ...shape] }]);
    const [{ name }] = graph.inputs;
    using reference = await loadFixedModel(graph, { backend: 'reference' });
    const outputs = await run(reference, name, images);
    using wasm = await loadFixedModel(graph, { backend: 'wasm', threads: 1 });
    const different: string[] = isSame(outputs, await run(wasm, name, images)) ? [] : [wasm.backend];
    if (device) {
      using webgpu = await loadFixedModel(graph, { backend: 'webgpu', device });
      const image = images.subarray(0, images.length / IMAGES);
      if (!isSame(await run(reference, name, image), await run(webgpu, name, image)))
        different.push(webgpu.backend);
    }
    const feeds = new Map([[name, images]]);
    const agreement = await agreementWithOrt(graph, feeds, IMAGES);
    const expected = await runOrt(bytes, feeds, IMAGES);
    return {
      share: deviceShare(reference.program),
      host: reference.program.operations.filter(isHost),
      sqnr: leastSqnr(expected, (output) => outputs[output].data),
      ortSqnr: await runOrt(graph, feeds, IMAGES).then((results) =>
        leastSqnr(expected, (output) => results.get(output)!.data as Float32Array),
      ),
      steps: agreement.reduce((most, { largestDifference }) => Math.max(most, largestDifference), 0),
      different,
    };
  } catch (error) {
    if (!(error instanceof OctetError)) throw error;
    return { refusal: error.message, share: 0, host: [], sqnr: NaN, ortSqnr: NaN, steps: 0, different: [] };
  }
}

type Outputs = Readonly<Record<string, OutputTensor>>;

async function run(model: Model, input: string, data: Float32Array): Promise<Outputs> {
  const { outputs } = await model.run({ [input]: data });
  return outputs;
}

function isSame(a: Outputs, b: Outputs): boolean {
  return Object.keys(a).every(
    (name) =>
      a[name].data.length === b[name].data.length &&
      a[name].data.every((value, i) => Object.is(value, b[name].data[i])),
  );
}

/** Of the real outputs: those of integers (what NonMaxSuppression selects, the class of a pixel) have no noise to speak of. */
function leastSqnr(expected: OrtResults, actualOf: (output: string) => OutputTensor['data']): number {
  const ratios = [...expected]
    .filter(([, { data }]) => data instanceof Float32Array)
    .map(([output, { data }]) => {
      const actual = actualOf(output);
      if (actual.length !== data.length) return -Infinity;
      let [signal, noise] = [0, 0];
      for (const [i, value] of (data as Float32Array).entries()) {
        signal += value ** 2;
        noise += (value - actual[i]) ** 2;
      }
      return decibels(signal, noise);
    });
  return Math.min(...ratios);
}

/** [count, ...shape]: patches of one value each and noise over them; of signals, noise alone. */
function smoothImages(random: Random, count: number, shape: readonly number[]): Float32Array {
  const [channels, height, width = 1] = shape;
  // The sum of four has nearly the shape of a normal distribution, of standard deviation 1.
  const normal = () => (random.next() + random.next() + random.next() + random.next() - 2) * Math.sqrt(3);
  const data = new Float32Array(count * channels * height * width);
  const columns = Math.ceil(width / PATCH);
  for (let plane = 0; plane < count * channels; plane++) {
    const patches = Float32Array.from({ length: Math.ceil(height / PATCH) * columns }, normal);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const patch = patches[Math.floor(y / PATCH) * columns + Math.floor(x / PATCH)];
        data[(plane * height + y) * width + x] = shape.length === 2 ? normal() : patch + 0.3 * normal();
      }
    }
  }
  return data;
}
