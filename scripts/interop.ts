/**
 * Which files of other tools run, how much of them in integers on the device, and how near to ONNX Runtime:
 *
 *     npm run interop [-- --only onnxruntime/opset] [--reasons] [--write]
 *
 * `--reasons` also prints why files are refused, most frequent first; `--write` writes docs/interop.md.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { format } from 'prettier';
import { judge, readFixtures, type Verdict } from '../test/support/interop.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    reasons: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

const verdicts: Verdict[] = [];
for (const fixture of await readFixtures()) {
  if (!`${fixture.tool}/${fixture.setting}.${fixture.network}`.includes(options.only)) continue;
  verdicts.push(await judge(fixture));
}

const networks = [...new Set(verdicts.map(({ fixture }) => fixture.network))];
const rows = [...groupBy(verdicts, ({ fixture }) => `${fixture.tool}\n${fixture.setting}`)].map(
  ([key, row]) => [
    ...key.split('\n'),
    ...networks.map((network) => {
      const verdict = row.find(({ fixture }) => fixture.network === network);
      return verdict ? describe(verdict) : 'not made';
    }),
  ],
);
const head = ['tool', 'setting', ...networks];
const run = verdicts.filter(({ refusal }) => refusal === undefined);
const onDevice = run.filter(({ share }) => share >= 0.95);
const summary = `${verdicts.length} files: ${run.length} run, ${onDevice.length} of them with at least 95 % of their multiply-adds in integers on the device.`;

const table = new Table({ head, style: { head: [], border: [] } });
table.push(...rows);
console.log(table.toString());
console.log(summary);
if (options.write) await writeFile(new URL('../docs/interop.md', import.meta.url), await page());

function page(): Promise<string> {
  const text = `# Files of other tools

Written by \`npm run interop -- --write\`. Three small networks with random weights, quantized by each tool, on the reference and
WebAssembly backends, which must give the same bytes: \`plain\` (convolutions with batch normalization, pooling, dense layers), \`preact\` (a pre-activation
residual network) and \`mobile\` (depthwise convolutions, gates, concatenation, a softmax). \`test/interop/make_fixtures.py\` makes the files.

A cell gives the share of multiply-adds that run in integers on the device, the nodes that run on the host in real numbers, and how far the output is from that of
ONNX Runtime with its optimizations off: in steps of the output's scale, or relative to the largest output where that is real. Dynamically quantized files (\`dynamic\`) are compared with
onnxruntime-web image by image, since Octet gives each image of a batch a range of its own. The \`float\` files
are quantized by \`octet quantize\` on two images, so their difference is the error of 8 bits.

${summary}

Of the others, \`dynamic\` gives a tensor the scale of the values that a run finds in it: between layers there are
float32 values, and each integer product is rounded by a scale that no plan can know. \`int8-transformer-default\` leaves convolutions in float32, without scales; the dense layers
that it quantizes run on the device. Quantized by \`octet quantize\` from the float file, both have all multiply-adds there.

| ${head.join(' | ')} |
| ${head.map(() => '---').join(' | ')} |
${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}
`;
  return format(text, { parser: 'markdown' });
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

function describe({ refusal, share, hostNodes, difference, steps, isSame }: Verdict): string {
  if (refusal !== undefined) return 'refused';
  const agreement = Number.isNaN(difference)
    ? 'not run by ONNX Runtime'
    : steps === undefined
      ? `${(100 * difference).toFixed(difference < 0.001 ? 4 : 1)} % off`
      : `${steps.toFixed(0)} steps`;
  const host = hostNodes > 0 ? `, ${hostNodes} on the host` : '';
  return `${(100 * share).toFixed(0)} %${host}, ${agreement}${isSame ? '' : ', BACKENDS DIFFER'}`;
}

if (options.reasons) {
  const reasons = verdicts.flatMap(({ fixture, refusal = '' }) =>
    refusal.split('\n').map((line) => ({ line: line.replace(/"[^"]*"/g, '"…"').trim(), fixture })),
  );
  const groups = [...groupBy(reasons, ({ line }) => line)].filter(([line]) => line !== '');
  for (const [line, found] of groups.sort((a, b) => b[1].length - a[1].length)) {
    const files = new Set(
      found.map(({ fixture }) => `${fixture.tool}/${fixture.setting}.${fixture.network}`),
    );
    console.log(`${files.size} files: ${line} (${[...files].slice(0, 3).join(', ')})`);
  }
}
