/** Files of other tools (test/interop/fixtures): what Octet makes of each, beside what ONNX Runtime does. */
import { readFile } from 'node:fs/promises';
import { OctetError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { loadFixedModel } from '../../src/model/load.ts';
import type { LoadOptions, Model, OutputTensor } from '../../src/model/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { moreOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import type { HostOperation, IntegerProgram, Operation } from '../../src/program/program.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { runOrt } from './ort.ts';

const folder = new URL('../interop/fixtures/', import.meta.url);

/** Images in `input.bin`, [images, 3, 16, 16]. */
export const IMAGES = 2;
const CHANNELS = 3;
const SIZE = 16;

export interface Fixture {
  /** Folder of the file: the tool that made it, or `float` for those that `quantize` is to quantize. */
  readonly tool: string;
  readonly setting: string;
  readonly network: string;
  /** ONNX Runtime's output, its optimizations off; missing where it refuses the file. */
  readonly output?: readonly number[];
}

export async function readFixtures(): Promise<Fixture[]> {
  return JSON.parse(await readFile(new URL('manifest.json', folder), 'utf8')) as Fixture[];
}

export interface Verdict {
  readonly fixture: Fixture;
  /** Why it does not run. */
  readonly refusal?: string;
  /** Multiply-adds that run in integers on the device, of all. */
  readonly share: number;
  /** Nodes that run on the host in real numbers. */
  readonly hostNodes: number;
  /** Largest difference from ONNX Runtime, relative to its largest output; NaN where that refuses the file. */
  readonly difference: number;
  /** The same in steps of the output's scale, where it has one. */
  readonly steps?: number;
  /** Whether the WebAssembly backend gives the bytes of the reference. */
  readonly isSame: boolean;
}

/** Loads a fixture on the reference and WebAssembly backends and runs it. */
export async function judge(fixture: Fixture): Promise<Verdict> {
  const { tool, setting, network } = fixture;
  const [bytes, images] = await Promise.all([
    readFile(new URL(`${tool}/${setting}.${network}.onnx`, folder)),
    readFile(new URL('input.bin', folder)),
  ]);
  const input = new Float32Array(new Uint8Array(images).buffer);
  try {
    const graph = tool === 'float' ? await quantizeOn(decodeModel(bytes), input) : decodeModel(bytes);
    const [name] = graph.inputs.map((each) => each.name);
    const sizes = openSizes(graph);
    using reference = await loadFixedModel(graph, { backend: 'reference', ...sizes });
    using wasm = await loadFixedModel(graph, { backend: 'wasm', threads: 1, ...sizes });
    const data = setting === 'nhwc' ? channelsLast(input) : input;
    const output = await run(reference, name, data);
    const own = await run(wasm, name, data);
    const expected = setting.startsWith('dynamic-') ? await imageByImage(bytes, name, input) : fixture.output;
    const difference = largestDifference(output.data, expected);
    const magnitude = (expected ?? []).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const { type, scale } = reference.program.tensors[reference.program.outputs[0].tensor];
    const step = type === 'int8' ? scale : undefined;
    const unit = output.dtype === 'float32' ? step : 1;
    return {
      fixture,
      share: deviceShare(reference.program),
      hostNodes: reference.program.operations.filter(isHost).length,
      difference: difference / magnitude,
      ...(unit !== undefined && { steps: difference / unit }),
      isSame: output.data.every((value, i) => value === own.data[i]),
    };
  } catch (error) {
    if (!(error instanceof OctetError)) throw error;
    return { fixture, refusal: error.message, share: 0, hostNodes: 0, difference: NaN, isSame: true };
  }
}

/**
 * What onnxruntime-web gives for each image by itself: with dynamic scales a batch of two has one range for both there. The native
 * runtime, which wrote the manifest, sums int8 products in saturating int16 on some processors.
 */
async function imageByImage(file: Uint8Array, input: string, images: Float32Array): Promise<number[]> {
  const length = images.length / IMAGES;
  const results: number[] = [];
  for (let image = 0; image < IMAGES; image++) {
    const alone = images.slice(image * length, (image + 1) * length);
    const [output] = (await runOrt(file, new Map([[input, alone]]), 1)).values();
    results.push(...(output.data as Float32Array));
  }
  return results;
}

async function quantizeOn(graph: Graph, data: Float32Array): Promise<Graph> {
  const isNhwc = graph.inputs[0].shape.at(-1) === CHANNELS;
  const shape = [
    IMAGES,
    ...graph.inputs[0].shape.slice(1).map((size) => (typeof size === 'number' ? size : SIZE)),
  ];
  return (await quantize(graph, [{ data: isNhwc ? channelsLast(data) : data, shape }])).graph;
}

/** What a file leaves open of its input. */
function openSizes({ inputs: [{ name, shape }] }: Graph): Pick<LoadOptions, 'inputShape'> {
  const isOpen = shape.slice(1).some((size) => typeof size === 'string');
  return isOpen ? { inputShape: { [name]: [IMAGES, CHANNELS, SIZE, SIZE] } } : {};
}

async function run(model: Model, input: string, data: Float32Array): Promise<OutputTensor> {
  const { outputs } = await model.run({ [input]: data });
  return Object.values(outputs)[0];
}

function channelsLast(data: Float32Array): Float32Array {
  const pixels = data.length / IMAGES / CHANNELS;
  return data.map((_, i) => {
    const image = Math.floor(i / pixels / CHANNELS);
    return data[(image * CHANNELS + (i % CHANNELS)) * pixels + (Math.floor(i / CHANNELS) % pixels)];
  });
}

function largestDifference(actual: ArrayLike<number>, expected: readonly number[] | undefined): number {
  if (!expected) return NaN;
  if (actual.length !== expected.length) return Infinity;
  // Not Math.max, which Infinity − Infinity would make NaN.
  return expected.reduce((largest, value, i) => {
    const difference = Math.abs(actual[i] - value);
    return difference <= largest ? largest : difference;
  }, 0);
}

const registry = createOperatorRegistry(moreOperators);

/** Multiply-adds in integers on the device, of those of convolutions and products altogether; 1 where there are none. */
export function deviceShare({ operations, tensors }: IntegerProgram): number {
  let [device, host] = [0, 0];
  for (const operation of operations) {
    if (isHost(operation)) {
      const { row, operands } = operation;
      const weights = operands[row.learned?.[0] ?? 1];
      const shape = weights && 'value' in weights ? weights.value.shape : [];
      host += row.macs?.(tensors[operation.output].shape, shape) ?? 0;
    } else {
      device += registry.of(operation).macs(operation, (id) => tensors[id]);
    }
  }
  return device + host === 0 ? 1 : device / (device + host);
}

export function isHost(operation: Operation): operation is HostOperation {
  return operation.kind === 'host';
}
