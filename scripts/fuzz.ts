/**
 * Looks for wrong answers for as long as one likes:
 *
 *     npm run fuzz -- --minutes 10 [--seed 1] [--cases N] [--only graphs] [--notes]
 *
 * The modes share the time evenly. Cases follow from their seeds, which findings are printed with: `--only graphs
 * --seed S --cases 1` runs one again. Exits with 1 where there is a finding.
 */
import { parseArgs } from 'node:util';
import { mutatedFiles } from './fuzz/files.ts';
import { floatGraphs, qdqGraphs } from './fuzz/graphs.ts';
import type { FuzzMode } from './fuzz/mode.ts';

const MODES: readonly FuzzMode[] = [qdqGraphs, floatGraphs, mutatedFiles];

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    cases: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    notes: { type: 'boolean', default: false },
  },
});
const modes = MODES.filter(({ name }) => options.only === undefined || name === options.only);
if (modes.length === 0) throw new Error(`--only must be one of ${MODES.map(({ name }) => name).join(', ')}`);
const end = performance.now() + Number(options.minutes) * 60_000;
const first = Number(options.seed);

interface Progress {
  readonly mode: FuzzMode;
  cases: number;
  findings: number;
  milliseconds: number;
  readonly counts: Map<string, number>;
  readonly notes: Map<string, number>;
}
const progress = modes.map((mode): Progress => ({
  mode,
  cases: 0,
  findings: 0,
  milliseconds: 0,
  counts: new Map(),
  notes: new Map(),
}));
const count = (counts: Map<string, number>, key: string, by = 1) =>
  counts.set(key, (counts.get(key) ?? 0) + by);

while (performance.now() < end) {
  const [next] = progress
    .filter(({ cases }) => cases < Number(options.cases))
    .sort((a, b) => a.milliseconds - b.milliseconds);
  if (!next) break;
  await runCase(next);
}
for (const { mode, cases, findings, counts, notes } of progress) {
  const parts = [...counts].map(([what, number]) => `${number} ${what}`);
  console.log([`${mode.name}: ${cases} cases`, ...parts, `${findings} findings`].join(', '));
  if (!options.notes) continue;
  for (const [note, number] of [...notes].sort((a, b) => b[1] - a[1])) console.log(`  ${number} × ${note}`);
}
if (progress.some(({ findings }) => findings > 0)) process.exitCode = 1;

async function runCase(of: Progress): Promise<void> {
  const seed = first + of.cases++;
  const start = performance.now();
  const outcome = await of.mode.run(seed).catch((error: unknown) => ({
    counts: {},
    note: undefined,
    finding: `threw ${error instanceof Error ? error.stack : String(error)}`,
  }));
  of.milliseconds += performance.now() - start;
  for (const [name, by] of Object.entries(outcome.counts)) count(of.counts, name, by);
  if (outcome.note !== undefined) count(of.notes, outcome.note);
  if (outcome.finding === undefined) return;
  of.findings++;
  console.log(`${of.mode.name}, --seed ${seed}: ${outcome.finding}`);
}
