/** Seeded random graphs against ONNX Runtime. `npm run fuzz` makes as many more as one likes. */
import { describe, expect, it } from 'vitest';
import { floatGraphs, qdqGraphs } from '../../scripts/fuzz/graphs.ts';
import type { FuzzMode } from '../../scripts/fuzz/mode.ts';

const SEEDS_A_TEST = 50;

/** @param agreeing the least share of graphs that must be answered: refusing all would be no test */
function everyGraph(mode: FuzzMode, tests: number, agreeing: number): void {
  it.each(Array.from({ length: tests }, (_, i) => i * SEEDS_A_TEST))('seeds from %i', async (first) => {
    let agree = 0;
    const findings: string[] = [];
    for (let seed = first; seed < first + SEEDS_A_TEST; seed++) {
      const { counts, finding } = await mode.run(seed);
      agree += counts.agree ?? 0;
      if (finding !== undefined) findings.push(`seed ${seed}: ${finding}`);
    }
    expect(findings).toEqual([]);
    expect(agree).toBeGreaterThan(agreeing * SEEDS_A_TEST);
  });
}

describe('QDQ graphs', () => everyGraph(qdqGraphs, 10, 0.6));
describe('float graphs, quantized', () => everyGraph(floatGraphs, 2, 0.5));
