/** Every variant of every kernel against the reference, byte by byte, on one thread and on two. Relaxed SIMD is tested in browser.test.ts. */
import { expect, test } from 'vitest';
import type { Conv2dOperation } from '../../src/program/program.ts';
import { int8Weights } from '../../src/program/weights.ts';
import { type OperationCase, quickCases } from '../support/cases.ts';
import { createProgramBuilder, requantizeBy } from '../support/program-builder.ts';
import { KernelBench } from './kernel-bench.ts';

/**
 * Multipliers of one quad of channels whose shifts differ by `bits`: brought to a common one they fit 31 bits up to 7 bits apart, beyond it lanes
 * are taken one by one. Odd accumulators are ties at ½, those that are odd multiples of 2^bits at 2^−(bits + 1).
 *
 * @param mantissa from 1 (2²³, as a 24-bit integer) to below 2
 */
function multipliersApart(bits: number, mantissa: number): OperationCase {
  const builder = createProgramBuilder();
  const input = builder.input([8, 8, 4], 0);
  const output = builder.tensor([8, 8, 8], 0);
  const weights = Int8Array.from({ length: 8 * 4 }, (_, i) => (i % 4 === 0 ? (i % 8 === 0 ? 1 : 64) : 0));
  const bias = new Int32Array(8);
  builder.emit<Conv2dOperation>({
    kind: 'conv2d',
    name: 'far apart',
    inputs: [input.id],
    output: output.id,
    kernel: [1, 1],
    stride: [1, 1],
    pads: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
    weights: int8Weights({ outChannels: 8, taps: 1, inChannels: 4 }, weights),
    bias,
    requantize: requantizeBy(8, (c) => mantissa * 2 ** (c % 2 === 0 ? -1 : -1 - bits), 0),
    pool: false,
    residual: null,
  });
  const program = builder.build('far apart');
  const data = Int8Array.from({ length: 8 * 8 * 4 }, (_, i) => (i >> 2) - 32);
  return {
    name: `multipliers ${mantissa} · 2^−1 and 2^−${bits + 1}`,
    kind: 'conv2d',
    program,
    batch: 1,
    inputs: new Map([[input.id, data]]),
  };
}

const cases = [
  ...quickCases(),
  ...[7, 8, 12].flatMap((bits) => [1, 1.75].map((mantissa) => multipliersApart(bits, mantissa))),
];

for (const threads of [1, 2]) {
  test(`SIMD kernels on ${threads} thread(s) equal the reference`, async () => {
    const bench = await KernelBench.open(threads, false);
    try {
      const { runs, failures } = await bench.run(cases);
      expect(failures.slice(0, 5).join('\n\n')).toBe('');
      // Each family has met its cases: a kernel that is never offered would pass unseen.
      const least = {
        'direct-8': 100,
        'direct-16': 8,
        depthwise: 6,
        'winograd-2': 25,
        'winograd-4': 25,
        simd: 40,
      };
      for (const [name, count] of Object.entries(least)) expect(runs[name], name).toBeGreaterThan(count);
    } finally {
      bench.dispose();
    }
  });
}
