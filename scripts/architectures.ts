/**
 * Which architectures quantize and run, how much of them in integers on the device, and what 8 bits cost them in Octet and in ONNX Runtime:
 *
 *     npm run architectures [-- --only ^block-] [--exporter dynamo] [--webgpu torchscript] [--reasons] [--write]
 *
 * `test/architectures/export.py` makes the files. `--webgpu` also runs those whose name and exporter match on a WebGPU device, `--reasons`
 * prints why files are refused or nodes run on the host, most frequent first, `--write` writes docs/architectures.md.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { format, resolveConfig } from 'prettier';
import {
  type Architecture,
  type ArchitectureVerdict,
  judgeArchitecture,
} from '../test/support/architectures.ts';
import { openNodeDevice } from '../test/support/node-gpu.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    exporter: { type: 'string', default: '' },
    webgpu: { type: 'string' },
    reasons: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

const root = new URL('..', import.meta.url);
const page = new URL('docs/architectures.md', root);
/** Steps by which an operation may differ from ONNX Runtime, which rounds an accumulator to float32 before it multiplies. */
const STEPS = 1;

const manifest = JSON.parse(
  await readFile(new URL('test/architectures/manifest.json', root), 'utf8'),
) as Architecture[];
const gpu = options.webgpu === undefined ? undefined : await openNodeDevice();
/** Files that ran on the WebGPU device. */
let onWebgpu = 0;

type Row = ArchitectureVerdict & { readonly architecture: Architecture };
const rows: Row[] = [];
for (const architecture of manifest) {
  const { name, exporter, shape, sha256 } = architecture;
  if (!new RegExp(options.only).test(name) || !exporter.includes(options.exporter)) continue;
  const bytes = await readFile(new URL(`.cache/architectures/${name}.${exporter}.onnx`, root));
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new Error(
      `${name}.${exporter}.onnx is not the file of the manifest: run test/architectures/export.py`,
    );
  }
  const takesGpu = gpu && new RegExp(options.webgpu!).test(`${name} ${exporter}`);
  const verdict = await judgeArchitecture(bytes, shape, takesGpu ? gpu.device : undefined);
  if (takesGpu && verdict.refusal === undefined) onWebgpu++;
  rows.push({ architecture, ...verdict });
  console.error(
    `${name} ${exporter}: ${cellsOf({ architecture, ...verdict })
      .slice(2)
      .join(', ')}`,
  );
}

const run = rows.filter(({ refusal }) => refusal === undefined);
const onDevice = run.filter(({ share }) => share >= 0.95);
const wrong = run.filter(isWrong);
const summary = `${rows.length} files: ${run.length} quantize and run, ${onDevice.length} (${percent(onDevice.length / rows.length)}) with at least 95 % of their multiply-adds in integers on the device, ${wrong.length} wrong.`;
const head = ['network', 'exporter', 'on the device', 'on the host', 'steps', 'SQNR', 'ONNX Runtime'];

const table = new Table({ head, style: { head: [], border: [], compact: true } });
table.push(...rows.map(cellsOf));
console.log(table.toString());
console.log(summary);
if (options.write) await writeFile(page, await pageText());
if (options.reasons) printReasons();
if (wrong.length > 0) process.exitCode = 1;

function isWrong({ steps, different }: ArchitectureVerdict): boolean {
  return different.length > 0 || steps > STEPS;
}

function percent(share: number): string {
  // Rounded down: 94.9 % is not 95.
  return `${Math.floor(100 * share)} %`;
}

function cellsOf(row: Row): string[] {
  const { architecture, refusal, share, host, sqnr, ortSqnr, steps, different } = row;
  const { name, exporter } = architecture;
  if (refusal !== undefined) return [name, exporter, 'refused', '', '', '', ''];
  const decibel = (value: number) => (Number.isFinite(value) ? `${value.toFixed(1)} dB` : '');
  const wrongs = [...different.map((backend) => `${backend} DIFFERS`), ...(isWrong(row) ? ['WRONG'] : [])];
  return [
    name,
    exporter,
    percent(share),
    hostNames(host),
    [steps, ...wrongs].join(' '),
    decibel(sqnr),
    decibel(ortSqnr),
  ];
}

/** Operators with how many nodes of each. */
function hostNames(host: ArchitectureVerdict['host']): string {
  const counts = new Map<string, number>();
  for (const { row } of host) counts.set(row.op, (counts.get(row.op) ?? 0) + 1);
  return [...counts].map(([op, count]) => (count > 1 ? `${count} ${op}` : op)).join(', ');
}

async function pageText(): Promise<string> {
  const exporters = [...new Set(rows.map(({ architecture }) => architecture.exporter))].join(' and ');
  const groups = [...new Set(rows.map(({ architecture }) => architecture.group))];
  const text = `# Architectures

Written by \`npm run architectures -- --write\`${options.exporter && ` (with \`--exporter ${options.exporter}\`)`}. Float files of torchvision's architectures, of others and of common blocks, narrow and with random weights, from
PyTorch's ${exporters} exporter (\`test/architectures/export.py\`), quantized with the defaults of \`octet quantize\` on 16 random images and run on four others. The reference and WebAssembly must
give the same bytes${gpu ? `, and WebGPU on one image, on a software adapter: ${onWebgpu} of the files ran there, too` : ''}.

**On the device**: the share of multiply-adds that run in integers. **On the host**: the nodes that run in real numbers on the CPU. **Steps**: how far what an operation makes of ONNX Runtime's
integers is from what ONNX Runtime makes of them, its optimizations off, at most; a file is wrong where that is more than ${STEPS}. **SQNR**: of the output against the float model in ONNX Runtime, of
the worst output where there are several; integer outputs have none. **ONNX Runtime**: the SQNR of the same quantized file there. Random weights forgive less than trained ones: a deep network
carries a single step on and makes much of it, and these figures do not tell what 8 bits cost a trained network.

${summary}

What falls short, and why:

- \`yolo-v8-nms\` ends in NonMaxSuppression: how many boxes it selects depends on the picture, and a program's tensors have the sizes that they were planned with. Without that node it is
  \`yolo-v8\`, and \`nonMaxSuppression\` of \`octetjs/vision\` selects boxes from its outputs.
- \`voice-activity\` has 37 % of its multiply-adds in an LSTM. With the products of its inputs in integers on the device (two thirds of it) 87 % would be there, still short of 95. The other
  third is 32 steps that wait for one another, 1,024 multiply-adds each: a dispatch for each, at 25 to 70 µs, would take 0.8 to 2.2 ms; the whole LSTM takes 1.0 ms on the host.

${groups.map(groupText).join('\n\n')}
`;
  return format(text, { ...(await resolveConfig(page)), parser: 'markdown' });
}

function groupText(group: string): string {
  const cells = rows.filter(({ architecture }) => architecture.group === group).map(cellsOf);
  return `## ${group[0].toUpperCase()}${group.slice(1)}

${[head, head.map(() => '---'), ...cells].map((row) => `| ${row.join(' | ')} |`).join('\n')}`;
}

function printReasons(): void {
  const found = new Map<string, Set<string>>();
  const add = (reason: string, { name, exporter }: Architecture): void => {
    const line = reason.replace(/"[^"]*"/g, '"…"').trim();
    found.set(line, (found.get(line) ?? new Set()).add(`${name}.${exporter}`));
  };
  for (const { architecture, refusal = '', host } of rows) {
    for (const line of refusal.split('\n')) if (line) add(`refused: ${line}`, architecture);
    for (const { row, reason } of host) add(`${row.op}: ${reason}`, architecture);
  }
  for (const [reason, files] of [...found].sort((a, b) => b[1].size - a[1].size)) {
    console.log(`${files.size} files: ${reason} (${[...files].slice(0, 4).join(', ')})`);
  }
}
