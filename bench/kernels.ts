/**
 * `npm run bench:kernels`: every variant of every distinct convolution and dense shape of VGG16, ResNet-18 and MobileNetV2, in Node
 * through Dawn: GMAC/s and share of the register peak of its arithmetic family, measured in the same run.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command, Option } from 'commander';
import { openDevice } from '../src/webgpu/device.ts';
import { chooseVulkanDriver } from '../test/support/node-gpu.ts';
import { launchChromium } from '../test/support/chromium.ts';
import { askForExactTimestamps } from './exact-timestamps.ts';
import { drawChart, machineContext, positiveInteger } from './context.ts';
import { kernelTable, contextBlock } from './report.ts';
import { timeKernels } from './kernel-timing.ts';
import type { KernelOptions } from './kernel-timing.ts';
import type { KernelResult } from './kernel-result.ts';
import { networks } from './networks.ts';
import type { NetworkName } from './networks.ts';
import { serve } from './serve.ts';

interface Options extends Omit<KernelOptions, 'batches'> {
  readonly batch: number;
  readonly output: string;
}

/** Measures, and writes JSON, a table and the roofline picture. */
export async function benchKernels(options: Options, log: (line: string) => void): Promise<KernelResult> {
  chooseVulkanDriver();
  askForExactTimestamps();
  const open = await openDevice({});
  try {
    const measured = await timeKernels(open, { ...options, batches: [options.batch] }, log);
    const { vendor, architecture, device, description } = open.adapter;
    const context = await machineContext(
      { vendor, architecture, device, description },
      `Node ${process.version}, Dawn`,
      0,
    );
    const result = { context, ...measured };
    await writeResult(result, options.output);
    return result;
  } finally {
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
    const svg = await drawChart(browser, server.url, (page) =>
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
    .option('--variants <texts...>', 'beside the default, only variants whose name contains one of these')
    .option('--batch <n>', 'batch size', positiveInteger, 1)
    .option('--rounds <n>', 'interleaved repetitions', positiveInteger, 5)
    .option('--defaults', 'only the default variant of each shape', false)
    .option('--output <path>', 'where to write .json, .md and .svg', 'bench/results/kernels')
    .parse()
    .opts<Options>();
  const result = await benchKernels(options, (line) => process.stderr.write(`${line}\n`));
  console.log(`${contextBlock(result)}\n\n${kernelTable(result)}`);
  // Dawn keeps threads of its own, which hold the process.
  process.exit();
}
