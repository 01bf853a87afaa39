/** What the benchmarks share: the machine's description, their options, and the page that draws. */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { InvalidArgumentError } from 'commander';
import type { Browser, Page } from 'playwright';
import type { BenchContext } from './result.ts';

async function versionOf(packageFile: string): Promise<string> {
  return (JSON.parse(await readFile(packageFile, 'utf8')) as { version: string }).version;
}

export async function machineContext(
  adapter: Readonly<Record<string, string>>,
  engine: string,
  seed: number,
): Promise<BenchContext> {
  const libraries = ['onnxruntime-web', '@tensorflow/tfjs-core', '@litertjs/core', 'webgpu'];
  const versions = await Promise.all(libraries.map((name) => versionOf(`node_modules/${name}/package.json`)));
  return {
    date: new Date().toISOString(),
    octet: await versionOf('package.json'),
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
    engine,
    platform: `${os.platform()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    adapter,
    libraries: Object.fromEntries(libraries.map((name, index) => [name, versions[index]])),
    seed,
  };
}

/** SVG text from the chart page, whose plot library needs a DOM. */
export async function drawChart(
  browser: Browser,
  url: string,
  draw: (page: Page) => Promise<string>,
): Promise<string> {
  const page = await browser.newPage();
  await page.goto(`${url}chart.html`);
  await page.waitForFunction(() => 'chartPage' in globalThis);
  const svg = await draw(page);
  await page.close();
  return `${svg}\n`;
}

export function positiveInteger(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new InvalidArgumentError('a positive whole number is expected');
  return number;
}
