/**
 * `npm run bench:tables`: the tables of bench/results/, and those in README.md and docs/ that are made of the same JSON. A block between
 * `<!-- table: <file>, <form> -->` and `<!-- end of table -->` is replaced. A test compares them.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import type { GpuHostResult } from './gpu-host-result.ts';
import type { KernelResult } from './kernel-result.ts';
import { contextBlock, gpuHostTable, kernelTable, markdownTable, summaryTable } from './report.ts';
import type { BenchResult } from './result.ts';

const root = path.resolve(import.meta.dirname, '..');
const RESULTS = 'bench/results';
const PAGES = ['README.md', 'docs/benchmarks.md'];
const BLOCK = /(<!-- table: (\S+), (\w+) -->\n)[^]*?(<!-- end of table -->)/g;

/** What a block may be, from a result and the address of its files without their ends. */
const forms = {
  full: (result: AnyResult, address: string) =>
    `${contextBlock(result)}\n\n${tableOf(result)}${chart(result, address)}`,
  summary: (result: AnyResult, address: string) =>
    `${'results' in result ? summaryTable(result) : tableOf(result)}${chart(result, address)}`,
};

/** Drawn by the benchmark itself, which has a browser at hand. */
function chart(result: AnyResult, address: string): string {
  if ('throughput' in result) return '';
  const what = 'results' in result ? 'Milliseconds an image, one bar an engine' : 'Roofline of the kernels';
  return `\n\n![${what}](${address}.svg)`;
}

type AnyResult = BenchResult | KernelResult | GpuHostResult;

function tableOf(result: AnyResult): string {
  if ('results' in result) return markdownTable(result);
  return 'throughput' in result ? gpuHostTable(result) : kernelTable(result);
}

async function readResult(file: string): Promise<AnyResult> {
  return JSON.parse(await readFile(path.join(root, file), 'utf8')) as AnyResult;
}

/** What each file should hold, by its path in the repository. */
export async function renderTables(): Promise<Map<string, string>> {
  const rendered = new Map<string, string>();
  for (const file of (await readdir(path.join(root, RESULTS))).filter((name) => name.endsWith('.json'))) {
    const json = `${RESULTS}/${file}`;
    const result = await readResult(json);
    rendered.set(json.replace(/json$/, 'md'), `${contextBlock(result)}\n\n${tableOf(result)}\n`);
  }
  for (const page of PAGES) {
    const text = await readFile(path.join(root, page), 'utf8');
    let next = text;
    for (const [block, start, file, form, end] of text.matchAll(BLOCK)) {
      if (!(form in forms)) throw new Error(`${page}: a table has no form "${form}"`);
      const address = path.posix.relative(path.posix.dirname(page), file.replace(/\.json$/, ''));
      const table = forms[form as keyof typeof forms](await readResult(file), address);
      next = next.replace(block, () => `${start}\n${table}\n\n${end}`);
    }
    const config = await resolveConfig(path.join(root, page));
    rendered.set(page, await format(next, { ...config, parser: 'markdown' }));
  }
  return rendered;
}

if (process.argv[1] && import.meta.filename === path.resolve(process.argv[1])) {
  for (const [file, text] of await renderTables()) await writeFile(path.join(root, file), text);
}
