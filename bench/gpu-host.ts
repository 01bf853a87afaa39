/**
 * VGG16 on a machine's own GPU, in Node through Dawn, without a checkout: bench/pack-gpu-host.ts bundles this with the model and what the
 * reference made of some pictures. First every tensor and every kernel variant against the reference, then speed; all of it into a
 * JSON file.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { globals } from 'webgpu';
import { loadModel } from '../src/index.ts';
import type { Model } from '../src/index.ts';
import { openDevice } from '../src/webgpu/device.ts';
import { classifyAdapter } from '../src/webgpu/adapter.ts';
import type { TuneMode } from '../src/webgpu/tuner.ts';
import { runKernelSuite } from '../test/support/kernel-suite.ts';
import { askForExactTimestamps } from './exact-timestamps.ts';
import type { Golden } from './golden.ts';
import { readGolden } from './golden.ts';
import type { GpuHostResult, TensorCheck, Throughput } from './gpu-host-result.ts';
import type { KernelResult } from './kernel-result.ts';
import { timeKernels } from './kernel-timing.ts';
import { summarize } from './statistics.ts';

interface Manifest {
  readonly octet: string;
  readonly commit: string;
  readonly webgpu: string;
}

const here = import.meta.dirname;
const CHECKED_BATCHES = [1, 3, 8];
/** Machines have several: the one that is meant is the fast one. */
const powerPreference = 'high-performance';
/** Calls that overlap where throughput is measured: upload, work and readback of three batches. */
const IN_FLIGHT = 3;

function numbers(text: string): number[] {
  return text.split(',').map((part) => {
    const value = Number(part);
    if (!Number.isInteger(value) || value < 1) throw new Error(`"${part}" is no positive whole number`);
    return value;
  });
}

const { values } = parseArgs({
  options: {
    batches: { type: 'string', default: '1,64,256,1024' },
    repetitions: { type: 'string', default: '30' },
    pictures: { type: 'string', default: '24' },
    tune: { type: 'string', default: 'full' },
    kernels: { type: 'string', default: 'full' },
    layers: { type: 'string', default: '' },
    output: { type: 'string', default: path.join(process.cwd(), 'gpu-host.json') },
    'allow-software': { type: 'boolean', default: false },
  },
});

const started = performance.now();
function log(line: string): void {
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s  ${line}\n`);
}

/** Every tensor of every picture against the reference's bytes, in batches. */
async function checkTensors(
  model: Model,
  golden: Golden,
  pictures: number,
  tune: string,
): Promise<TensorCheck[]> {
  const checks: TensorCheck[] = [];
  const inputName = model.inputs[0].name;
  for (const batch of CHECKED_BATCHES) {
    const differing: string[] = [];
    let elements = 0;
    for (let first = 0; first < pictures; first += batch) {
      const count = Math.min(batch, pictures - first);
      const tensors = await model.values({ [inputName]: { pixels: golden.pixels(first, count) } });
      for (const [name, { data }] of tensors) {
        const expected = golden.tensor(name, first, count);
        elements += data.length;
        let different = data.length === expected.length ? 0 : Math.abs(data.length - expected.length);
        for (let i = 0; i < expected.length; i++) if (data[i] !== expected[i]) different++;
        if (different > 0) differing.push(`${name}, pictures ${first} to ${first + count - 1}: ${different}`);
      }
    }
    log(`tune ${tune}, batch ${batch}: ${elements} elements, ${differing.length} tensors differ`);
    checks.push({ tune, batch, pictures, elements, differing });
  }
  return checks;
}

async function measure(
  model: Model,
  golden: Golden,
  tune: string,
  batch: number,
  repetitions: number,
): Promise<Throughput> {
  const inputName = model.inputs[0].name;
  const pixels = golden.pixels(0, batch);
  const run = async (): Promise<number> => {
    const start = performance.now();
    await model.run({ [inputName]: { pixels } });
    return performance.now() - start;
  };
  for (let i = 0; i < 3; i++) await run();
  const samples: number[] = [];
  for (let i = 0; i < repetitions; i++) samples.push(await run());
  const latencyMs = summarize(samples);
  const imagesPerSecond = await measureOverlapped(run, batch, repetitions);
  const { operations, totalMs, method, peak } = await model.profile({ batch, repetitions: 10 });
  const layers = operations.map(({ name, variant, family, macs, ms, gmacsPerSecond, shareOfPeak }) => ({
    name,
    variant,
    family,
    macs,
    ms,
    gmacs: gmacsPerSecond,
    share: shareOfPeak,
  }));
  log(
    `tune ${tune}, batch ${batch}: ${latencyMs.median.toFixed(2)} ms a call, ${imagesPerSecond.toFixed(0)} images/s, ${totalMs.toFixed(3)} ms on the GPU`,
  );
  return { tune, batch, latencyMs, imagesPerSecond, gpuMs: totalMs, method, peaks: peak, layers };
}

async function measureOverlapped(
  run: () => Promise<number>,
  batch: number,
  repetitions: number,
): Promise<number> {
  let started = 0;
  const caller = async (): Promise<void> => {
    while (started < repetitions) {
      started++;
      await run();
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
  return (1000 * batch * repetitions) / (performance.now() - start);
}

async function main(): Promise<GpuHostResult> {
  const manifest = JSON.parse(await readFile(path.join(here, 'manifest.json'), 'utf8')) as Manifest;
  const golden = await readGolden(path.join(here, 'golden'));
  const batches = numbers(values.batches);
  const [repetitions] = numbers(values.repetitions);
  const pictures = Math.min(numbers(values.pictures)[0], golden.pictures);
  const tune = values.tune as TuneMode;

  // The kernel suite's support code uses WebGPU's global names.
  Object.assign(globalThis, globals);
  askForExactTimestamps();
  const open = await openDevice({ powerPreference });
  const { vendor, architecture, device, description } = open.adapter;
  const software = classifyAdapter(open.adapter) === 'software';
  log(`adapter: ${[vendor, architecture, device, description].filter(Boolean).join(', ')}`);
  if (software && !values['allow-software']) {
    throw new Error(
      'this is a software adapter: install the GPU driver with its Vulkan part, or pass --allow-software',
    );
  }

  const thorough = values.kernels === 'full';
  const filter = values.kernels === 'full' || values.kernels === 'quick' ? undefined : RegExp(values.kernels);
  const suite = await runKernelSuite(open.device, {
    thorough,
    extra: thorough ? 200 : 0,
    ...(filter && { filter }),
  });
  log(`kernels: ${suite.cases} cases, ${suite.variants.size} variants, ${suite.failures.length} failures`);
  // All of them are in the JSON.
  for (const failure of suite.failures.slice(0, 3)) log(failure);

  const source = new Uint8Array(await readFile(path.join(here, 'vgg16-cifar10.int8.onnx')));
  const checks: TensorCheck[] = [];
  const throughput: Throughput[] = [];
  let loadMs = 0;
  const context = {
    date: new Date().toISOString(),
    octet: manifest.octet,
    commit: manifest.commit,
    engine: `Node ${process.version}, Dawn`,
    platform: `${os.platform()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    adapter: { vendor, architecture, device, description },
    libraries: { webgpu: manifest.webgpu },
    seed: 0,
  };
  const kernelSuite = {
    cases: suite.cases,
    variants: suite.variants.size,
    failures: suite.failures,
  };
  const write = async (kernels: Pick<KernelResult, 'peaks' | 'rows'>): Promise<GpuHostResult> => {
    const result = { context, kernelSuite, checks, loadMs, throughput, ...kernels };
    await mkdir(path.dirname(values.output), { recursive: true });
    await writeFile(values.output, `${JSON.stringify(result, null, 2)}\n`);
    return result;
  };
  const run = async (tune: TuneMode): Promise<void> => {
    const start = performance.now();
    using model = await loadModel(source, {
      backend: 'webgpu',
      powerPreference,
      tune,
      batches,
      onProgress(event) {
        if (event.stage === 'tune' && event.item !== undefined)
          log(`tuning ${event.done + 1} of ${event.total}: ${event.item}`);
      },
    });
    loadMs = performance.now() - start;
    log(`tune ${tune}: loaded for batches ${batches.join(', ')} in ${loadMs.toFixed(0)} ms`);
    checks.push(...(await checkTensors(model, golden, pictures, tune)));
    for (const batch of batches) throughput.push(await measure(model, golden, tune, batch, repetitions));
    // What comes after takes long: should it be cut off, this is there.
    await write({ peaks: {}, rows: [] });
  };

  await run('off');
  if (tune !== 'off') await run(tune);
  const kernels = await timeKernels(
    open,
    {
      networks: ['vgg16-cifar10'],
      batches: [1, ...(batches.includes(64) ? [64] : [])],
      rounds: 7,
      layers: values.layers,
      defaults: software,
    },
    log,
  );
  open.close();
  return write(kernels);
}

const result = await main();
const wrong =
  result.kernelSuite.failures.length > 0 || result.checks.some(({ differing }) => differing.length > 0);
console.log(`${wrong ? 'WRONG BYTES' : 'all bytes are the reference’s'}; written to ${values.output}`);
// Dawn keeps threads of its own, which hold the process.
process.exit(wrong ? 1 : 0);
