/**
 * Looks for wrong answers for as long as one likes:
 *
 *     npm run fuzz -- --minutes 10 [--seed 1] [--cases N] [--only graphs] [--notes]
 *
 * Cases follow from their seeds, which findings are printed with: `--seed S --cases 1` runs one again. Exits with 1 where there is a finding.
 */
import { parseArgs } from 'node:util';
import { floatGraphs, qdqGraphs } from './fuzz/graphs.ts';
import type { FuzzMode } from './fuzz/mode.ts';

const MODES: readonly FuzzMode[] = [qdqGraphs, floatGraphs];

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

interface Totals {
  cases: number;
  findings: number;
  readonly counts: Map<string, number>;
  readonly notes: Map<string, number>;
}
const totals = new Map(
  modes.map((mode): [FuzzMode, Totals] => [
    mode,
    { cases: 0, findings: 0, counts: new Map(), notes: new Map() },
  ]),
);
const count = (counts: Map<string, number>, key: string, by = 1) =>
  counts.set(key, (counts.get(key) ?? 0) + by);

for (let seed = first; seed < first + Number(options.cases) && performance.now() < end; seed++) {
  for (const [mode, total] of totals) {
    total.cases++;
    const { counts, note, finding } = await mode.run(seed).catch((error: unknown) => ({
      counts: {},
      note: undefined,
      finding: `threw ${error instanceof Error ? error.stack : String(error)}`,
    }));
    for (const [name, by] of Object.entries(counts)) count(total.counts, name, by);
    if (note !== undefined) count(total.notes, note);
    if (finding === undefined) continue;
    total.findings++;
    console.log(`${mode.name}, --seed ${seed}: ${finding}`);
  }
}
for (const [{ name }, { cases, findings, counts, notes }] of totals) {
  const parts = [...counts].map(([what, number]) => `${number} ${what}`);
  console.log([`${name}: ${cases} cases`, ...parts, `${findings} findings`].join(', '));
  if (!options.notes) continue;
  for (const [note, number] of [...notes].sort((a, b) => b[1] - a[1])) console.log(`  ${number} × ${note}`);
}
if ([...totals.values()].some(({ findings }) => findings > 0)) process.exitCode = 1;
