/**
 * `npm run bench:kernels`: every variant of every distinct convolution and dense shape of VGG16, ResNet-18 and MobileNetV2, in Node
 * through Dawn: GMAC/s and share of the register peak of its arithmetic family, measured in the same run.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command, Option } from 'commander';
import { median } from 'simple-statistics';
import { createOperatorRegistry } from '../src/ops/registry.ts';
import type { ArithmeticFamily, GpuVariant } from '../src/ops/gpu-kernel.ts';
import { byteCount } from '../src/program/program.ts';
import type { Conv2dOperation, IntegerProgram } from '../src/program/program.ts';
import { ConstantCache } from '../src/webgpu/constants.ts';
import { openDevice } from '../src/webgpu/device.ts';
import type { OpenDevice } from '../src/webgpu/device.ts';
import { candidates, planExecution } from '../src/webgpu/execution-plan.ts';
import { measurePeak } from '../src/webgpu/peak.ts';
import { PipelineCache } from '../src/webgpu/pipelines.ts';
import { encode, preparePlan } from '../src/webgpu/prepared-plan.ts';
import type { PreparedPlan } from '../src/webgpu/prepared-plan.ts';
import { createStopwatch, timeInterleaved } from '../src/webgpu/stopwatch.ts';
import type { Stopwatch } from '../src/webgpu/stopwatch.ts';
import { createProgramBuilder, requantizeBy } from '../test/support/program-builder.ts';
import { chooseVulkanDriver } from '../test/support/node-gpu.ts';
import { launchChromium } from '../test/support/chromium.ts';
import { drawChart, machineContext, positiveInteger } from './context.ts';
import { kernelTable, contextBlock } from './report.ts';
import type { KernelResult, KernelRow } from './kernel-result.ts';
import { networks } from './networks.ts';
import type { LayerShape, NetworkName } from './networks.ts';
import { serve } from './serve.ts';

interface Options {
  readonly networks: NetworkName[];
  readonly batch: number;
  readonly rounds: number;
  readonly layers?: string;
  readonly defaults: boolean;
  readonly output: string;
}

/** A variant that takes this many times the best one's first time is not timed again. */
const HOPELESS = 4;

/** The layer alone, weights zero: no kernel's time depends on values. */
function programOf(layer: LayerShape): IntegerProgram {
  const { input, outChannels, kernel, stride, pad, groups, pool } = layer;
  const builder = createProgramBuilder();
  const x = builder.input([...input]);
  const size = (length: number): number =>
    Math.floor((length + 2 * pad - kernel) / stride + 1) >> (pool ? 1 : 0);
  const y = builder.tensor([size(input[0]), size(input[1]), outChannels]);
  builder.emit<Conv2dOperation>({
    kind: 'conv2d',
    name: layer.name,
    inputs: [x.id],
    output: y.id,
    kernel: [kernel, kernel],
    stride: [stride, stride],
    pads: [pad, pad, pad, pad],
    dilation: [1, 1],
    groups,
    weights: new Int8Array((outChannels * kernel * kernel * input[2]) / groups),
    weightZeroPoint: null,
    bias: new Int32Array(outChannels),
    requantize: requantizeBy(outChannels, () => 0.001, 0),
    pool,
    residual: null,
  });
  return builder.build(layer.name);
}

interface Bench {
  readonly open: OpenDevice;
  readonly pipelines: PipelineCache;
  readonly constants: ConstantCache;
  readonly stopwatch: Stopwatch;
  readonly peaks: KernelResult['peaks'];
}

async function benchLayer(
  bench: Bench,
  network: NetworkName,
  layer: LayerShape,
  { batch, rounds, defaults }: Options,
): Promise<KernelRow[]> {
  const { open, pipelines, constants, stopwatch, peaks } = bench;
  const operators = createOperatorRegistry();
  const program = programOf(layer);
  const operation = program.operations[0] as Conv2dOperation;
  const target = { program, operators, batch, capabilities: open.capabilities };
  const { variants, tuningKey } = candidates(operation, target);
  const prepared: { variant: GpuVariant; plan: PreparedPlan }[] = [];
  try {
    for (const variant of defaults ? variants.slice(0, 1) : variants) {
      const plan = planExecution({ ...target, keep: [], choose: () => variant });
      prepared.push({ variant, plan: await preparePlan(open.device, plan, pipelines, constants) });
    }
    const timed = await timeInterleaved(stopwatch, prepared, {
      rounds,
      encode: (pass, { plan }) => encode(pass, plan.dispatches),
      dropSlowerThan: HOPELESS,
    });
    const macs = batch * operators.of(operation).macs(operation, (id) => program.tensors[id]);
    const bytes =
      operation.weights.length + program.tensors.reduce((sum, tensor) => sum + byteCount(tensor, batch), 0);
    return timed.map(({ item: { variant }, samples }) => {
      const ms = median(samples);
      const gmacs = macs / ms / 1e6;
      const peak = peaks[variant.family];
      return {
        network,
        layer: layer.name,
        shape: tuningKey,
        variant: variant.name,
        family: variant.family,
        batch,
        ms,
        gmacs,
        share: peak ? gmacs / peak : 0,
        intensity: macs / bytes,
      };
    });
  } finally {
    for (const { plan } of prepared) plan.dispose();
  }
}

export async function benchKernels(options: Options, log: (line: string) => void): Promise<KernelResult> {
  chooseVulkanDriver();
  const open = await openDevice({});
  const pipelines = new PipelineCache(open.device);
  const stopwatch = createStopwatch(open.device, open.timestamps);
  try {
    const families: Exclude<ArithmeticFamily, 'none'>[] = ['f32', 'i32'];
    if (open.capabilities.packedDot) families.unshift('dot4I8Packed');
    const peaks: Partial<Record<ArithmeticFamily, number>> = {};
    for (const family of families) {
      peaks[family] = await measurePeak(open.device, pipelines, stopwatch, family);
      log(`register peak, ${family}: ${peaks[family].toFixed(2)} GMAC/s`);
    }
    const bench: Bench = { open, pipelines, constants: new ConstantCache(open.device), stopwatch, peaks };
    const rows: KernelRow[] = [];
    for (const network of options.networks) {
      for (const layer of networks[network]) {
        if (options.layers !== undefined && !layer.name.includes(options.layers)) continue;
        const measured = await benchLayer(bench, network, layer, options);
        rows.push(...measured);
        const best = measured.reduce((a, b) => (b.gmacs > a.gmacs ? b : a));
        log(`${network} ${layer.name}: ${best.gmacs.toFixed(2)} GMAC/s by ${best.variant}`);
      }
    }
    const { vendor, architecture, device, description } = open.adapter;
    const context = await machineContext(
      { vendor, architecture, device, description },
      `Node ${process.version}, Dawn`,
      0,
    );
    return { context, peaks, rows };
  } finally {
    stopwatch.dispose();
    open.close();
  }
}

async function writeResult(result: KernelResult, output: string): Promise<void> {
  await mkdir(path.dirname(output), { recursive: true });
  await writeFile(`${output}.json`, `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(`${output}.md`, `${contextBlock(result)}\n\n${kernelTable(result)}\n`);
  const server = await serve();
  const browser = await launchChromium();
  try {
    const svg = await drawChart(browser, server.origin, (page) =>
      page.evaluate((data) => globalThis.chartPage.rooflineChart(data), result),
    );
    await writeFile(`${output}.svg`, svg);
  } finally {
    await browser.close();
    await server.close();
  }
}

const names = Object.keys(networks) as NetworkName[];

if (process.argv[1] && import.meta.filename === path.resolve(process.argv[1])) {
  const options = new Command('bench:kernels')
    .description('every variant of every distinct layer shape, and the share of the measured register peak')
    .addOption(new Option('--networks <names...>', 'whose layers').choices(names).default(names))
    .option('--layers <text>', 'only layers whose name contains it')
    .option('--batch <n>', 'batch size', positiveInteger, 1)
    .option('--rounds <n>', 'interleaved repetitions', positiveInteger, 5)
    .option('--defaults', 'only the default variant of each shape', false)
    .option('--output <path>', 'where to write .json, .md and .svg', 'bench/results/kernels')
    .parse()
    .opts<Options>();
  const result = await benchKernels(options, (line) => process.stderr.write(`${line}\n`));
  await writeResult(result, options.output);
  console.log(`${contextBlock(result)}\n\n${kernelTable(result)}`);
  // Dawn keeps threads of its own, which hold the process.
  process.exit();
}
