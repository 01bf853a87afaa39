/** The process that loads mutated files for files.ts, which watches it: it may hang, run out of memory, or crash. */
import type { Weights } from '../../src/program/weights.ts';
import { OctetError } from '../../src/errors.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { loadFixedModel } from '../../src/model/load.ts';
import type { FixedModel } from '../../src/model/fixed-sizes.ts';
import { findObstacles } from '../../src/model/support.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { FileOutcome, WorkerMessage, WorkerTask } from './files.ts';
import { mutation, seedFiles } from './mutate.ts';

const send = (message: WorkerMessage) => process.send!(message);
const files = seedFiles();
const MAX_BYTES = 2 ** 30;
/** Networks of less work than this are run, and compared on the two backends. */
const RUN_ELEMENTS = 2 ** 18;

/** What may happen: an OctetError, or a network that gives the same bytes on both backends. */
async function outcomeOf(bytes: Uint8Array): Promise<FileOutcome> {
  try {
    const graph = decodeModel(bytes);
    if (!graph.nodes.some(({ op }) => op === 'QuantizeLinear')) {
      findObstacles(graph);
      decodeModel(encodeModel(optimize(graph)));
      return { kind: 'decoded' };
    }
    using model = await loadFixedModel(bytes, { backend: 'wasm', threads: 1 });
    return (await isReproduced(model)) ? { kind: 'loaded' } : { kind: 'differs' };
  } catch (error) {
    if (error instanceof OctetError && error.message.length < 20_000) return { kind: 'refused' };
    const { name, stack = '', message } = error as Error;
    return { kind: 'raw', what: `${name}: ${message.slice(0, 300)}\n${stack.slice(-1000)}` };
  }
}

async function isReproduced(model: FixedModel): Promise<boolean> {
  const { macs, elements } = workOf(model);
  if (macs > 2 ** 24 || elements > RUN_ELEMENTS) return true;
  const inputs = model.inputs.map(({ name, height, width, channels }) => {
    const data = Float32Array.from({ length: height * width * channels }, (_, i) => Math.sin(i));
    return [name, data] as const;
  });
  return (await model.verify(Object.fromEntries(inputs))).equal;
}

function workOf({ program, inputs }: FixedModel): { readonly macs: number; readonly elements: number } {
  let elements = inputs.length;
  let macs = 0;
  for (const { image } of program.tensors) elements += image[0] * image[1] * image[2];
  for (const { output, ...rest } of program.operations) {
    const { weights, kernel = [1, 1] } = rest as { weights?: Weights; kernel?: readonly number[] };
    const [height, width, channels] = program.tensors[output].image;
    macs += height * width * channels * (weights?.k ?? kernel[0] * kernel[1]);
  }
  return { macs, elements };
}

process.on('message', (task: WorkerTask) => {
  void (async () => {
    for (let index = task.from; index < task.to; index++) {
      send({ kind: 'start', index });
      const bytes = mutation(files, task.seed, index);
      const before = process.cpuUsage();
      const resident = process.memoryUsage.rss();
      let outcome = await outcomeOf(bytes);
      const { user, system } = process.cpuUsage(before);
      const cpuMs = (user + system) / 1000;
      const grown = process.memoryUsage.rss() - resident;
      if (bytes.length < 1e6) {
        if (cpuMs > task.slowMs)
          outcome = { kind: 'slow', what: `${Math.round(cpuMs)} ms of processor time` };
        if (grown > MAX_BYTES) outcome = { kind: 'large', what: `${Math.round(grown / 2 ** 20)} MiB` };
      }
      send({ kind: 'done', index, outcome });
    }
    send({ kind: 'idle' });
  })();
});
send({ kind: 'idle' });
