/** Every variant of every kernel against the reference, byte by byte, on one thread and on two. Relaxed SIMD is tested in browser.test.ts. */
import { expect, test } from 'vitest';
import { quickCases } from '../support/cases.ts';
import { KernelBench } from './kernel-bench.ts';

const cases = quickCases();

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
