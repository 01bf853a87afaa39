/** Random graphs against ONNX Runtime: QDQ graphs as they are, and float graphs through `quantize`. */
import { differential, floatDifferential, type Verdict } from '../../test/support/differential.ts';
import { randomInputs } from '../../test/support/onnx-models.ts';
import { randomOddFloatGraph } from '../../test/support/random-float-graph.ts';
import { randomQdqGraph } from '../../test/support/random-qdq-graph.ts';
import type { FuzzMode, FuzzOutcome } from './mode.ts';

const BATCH = 2;

export const qdqGraphs: FuzzMode = {
  name: 'graphs',
  async run(seed) {
    const graph = randomQdqGraph(seed, BATCH);
    return outcome(await differential(graph, randomInputs(graph, BATCH, seed), BATCH));
  },
};

export const floatGraphs: FuzzMode = {
  name: 'float-graphs',
  async run(seed) {
    return outcome(await floatDifferential(randomOddFloatGraph(seed), seed));
  },
};

function outcome(verdict: Verdict): FuzzOutcome {
  switch (verdict.kind) {
    case 'agrees':
      return { counts: { agree: 1, 'values compared': verdict.elements, 'one step off': verdict.offByOne } };
    case 'refused':
      return { counts: { refused: 1 }, note: verdict.reasons.map(withoutNames).join('; ') };
    case 'differs':
      return { counts: {}, finding: verdict.report };
  }
}

/** Reasons alike but for names and numbers are counted together. */
function withoutNames(reason: string): string {
  return reason.replaceAll(/"[^"]*"/g, '"…"').replaceAll(/\[[^\]]*\]|\d+(×\d+)*/g, '#');
}
