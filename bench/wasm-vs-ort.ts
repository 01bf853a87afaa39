/**
 * VGG16 on the CPU, in Node: Octet's wasm backend beside onnxruntime-web's. Each contender is a process of its own
 * (onnxruntime-web's thread count is fixed at start); one at a time runs, in random order, so that a busy machine is busy for all alike.
 *
 *   npx tsx --conditions=octet:source bench/wasm-vs-ort.ts [--batch 1] [--repetitions 20] [--threads 1,2] [--synthetic]
 *
 * The int8 model is models/vgg16-cifar10.int8.onnx. `--synthetic` gives Octet random weights of VGG16's shapes instead, and leaves
 * onnxruntime-web's int8 rows out.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import * as ort from 'onnxruntime-web';
import { loadModel } from '../src/index.ts';
import type { IntegerProgram } from '../src/program/program.ts';
import { measurePeak } from '../src/wasm/peak.ts';
import { createWasmSession } from '../src/wasm/backend.ts';
import { createRandom } from '../test/support/random.ts';
import { vgg16Shapes } from '../test/support/vgg16-shapes.ts';
import { seededRandom, shuffle } from '../scripts/shuffle.ts';
import { summarize } from './statistics.ts';

const FILES = { float: 'models/vgg16-cifar10.onnx', int8: 'models/vgg16-cifar10.int8.onnx' };
/** Multiply-adds of one picture. */
const MACS = 332.5e6;
const WARM_UP = 5;

interface Contender {
  readonly engine: 'octet' | 'onnxruntime-web';
  readonly model: 'float' | 'int8' | 'synthetic';
  readonly threads: number;
  readonly batch: number;
}

type Run = () => Promise<unknown>;

async function openOnnxRuntime({ model, threads, batch }: Contender): Promise<Run> {
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(FILES[model === 'int8' ? 'int8' : 'float'], {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
  });
  const values = Float32Array.from({ length: batch * 3 * 32 * 32 }, (_, i) => Math.sin(i));
  const input = new ort.Tensor('float32', values, [batch, 3, 32, 32]);
  return () => session.run({ [session.inputNames[0]]: input });
}

async function openOctet({ model, threads, batch }: Contender): Promise<Run> {
  const pixels = Uint8Array.from({ length: batch * 32 * 32 * 3 }, (_, i) => (i * 37) & 255);
  if (model === 'synthetic') {
    const program = randomVgg16();
    const session = await createWasmSession(program, { threads });
    const table = Int8Array.from({ length: 3 * 256 }, (_, i) => (i & 255) - 128);
    const inputs = new Map([[program.inputs[0].tensor, { kind: 'pixels' as const, pixels, table }]]);
    return () => session.run(inputs, { batch });
  }
  const loaded = await loadModel(FILES.int8, { backend: 'wasm', threads });
  return () => loaded.run({ [loaded.inputs[0].name]: { pixels } });
}

function randomVgg16(): IntegerProgram {
  const random = createRandom(1);
  const program = vgg16Shapes();
  for (const operation of program.operations) {
    const { weights } = operation as typeof operation & { readonly weights: Int8Array };
    for (let i = 0; i < weights.length; i++) weights[i] = random.int(-40, 40);
  }
  return program;
}

/** A contender's process: opens it, then times a run whenever it is told to. */
async function serve(contender: Contender): Promise<void> {
  const run = await (contender.engine === 'octet' ? openOctet(contender) : openOnnxRuntime(contender));
  process.on('message', () => {
    const start = performance.now();
    void run().then(() => process.send!(performance.now() - start));
  });
  process.send!('ready');
}

const self = fileURLToPath(import.meta.url);

async function open(contender: Contender): Promise<ChildProcess> {
  const child = fork(self, ['--contender', JSON.stringify(contender)]);
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${contender.engine} ${contender.model} ended with code ${String(code)}`);
    }),
  ]);
  return child;
}

async function time(child: ChildProcess): Promise<number> {
  child.send('run');
  const [ms] = (await once(child, 'message')) as [number];
  return ms;
}

async function compare(): Promise<void> {
  const { values } = parseArgs({
    options: {
      batch: { type: 'string', default: '1' },
      repetitions: { type: 'string', default: '20' },
      threads: { type: 'string', default: '1,2' },
      synthetic: { type: 'boolean', default: false },
    },
  });
  const batch = Number(values.batch);
  const contenders = values.threads.split(',').flatMap((text): Contender[] => {
    const common = { threads: Number(text), batch };
    if (values.synthetic) {
      return [
        { engine: 'octet', model: 'synthetic', ...common },
        { engine: 'onnxruntime-web', model: 'float', ...common },
      ];
    }
    return [
      { engine: 'octet', model: 'int8', ...common },
      { engine: 'onnxruntime-web', model: 'float', ...common },
      { engine: 'onnxruntime-web', model: 'int8', ...common },
    ];
  });
  const { dot } = await measurePeak();
  const rows: { readonly contender: Contender; readonly child: ChildProcess; readonly samples: number[] }[] =
    [];
  for (const contender of contenders) {
    rows.push({ contender, child: await open(contender), samples: [] });
  }
  try {
    for (const { child } of rows) for (let i = 0; i < WARM_UP; i++) await time(child);
    const random = seededRandom(1);
    for (let i = 0; i < Number(values.repetitions); i++) {
      for (const { child, samples } of shuffle([...rows], random)) samples.push(await time(child));
    }
  } finally {
    for (const { child } of rows) child.kill();
  }
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: [
      'engine',
      'model',
      'threads',
      'median ms',
      'p10',
      'p90',
      'GMAC/s',
      `share of ${dot.toFixed(1)} a core`,
    ],
  });
  for (const { contender, samples } of rows) {
    const { median, p10, p90 } = summarize(samples);
    const rate = (MACS * batch) / median / 1e6;
    table.push([
      contender.engine,
      contender.model,
      contender.threads,
      ...[median, p10, p90].map((ms) => ms.toFixed(2)),
      rate.toFixed(1),
      `${((100 * rate) / dot / contender.threads).toFixed(0)} %`,
    ]);
  }
  console.log(`batch ${batch}, ${values.repetitions} interleaved repetitions\n${table.toString()}`);
  for (const threads of new Set(contenders.map((contender) => contender.threads))) {
    const best = (engine: Contender['engine']) =>
      Math.min(
        ...rows
          .filter(({ contender }) => contender.engine === engine && contender.threads === threads)
          .map(({ samples }) => summarize(samples).median),
      );
    const ratio = best('onnxruntime-web') / best('octet');
    console.log(`${threads} thread(s): ${ratio.toFixed(2)} times faster than the best of onnxruntime-web`);
  }
}

const contender = process.argv.indexOf('--contender');
if (contender > 0) await serve(JSON.parse(process.argv[contender + 1]) as Contender);
else await compare();
