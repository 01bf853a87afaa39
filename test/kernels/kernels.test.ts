import { afterAll, beforeAll, expect, test } from 'vitest';
import { openNodeDevice } from '../support/node-gpu.ts';
import { runKernelSuite } from '../support/kernel-suite.ts';

/** Fewer than this means that cases were lost, not that the kernels are right. */
const MIN_CASES = 170;

let device: GPUDevice;

beforeAll(async () => {
  ({ device } = await openNodeDevice());
});

afterAll(() => device.destroy());

test('every kernel variant gives the bytes of the reference', { timeout: 3_600_000 }, async () => {
  const uncaptured: string[] = [];
  device.addEventListener('uncapturederror', ({ error }) => uncaptured.push(error.message));
  // See SuiteEnvironment in test/webgpu/suites/suite.ts.
  const thorough = process.env.OCTET_THOROUGH === '1';
  const { cases, failures, variants } = await runKernelSuite(device, { thorough, extra: thorough ? 200 : 0 });
  console.log(`${cases} GPU cases, ${variants.size} variants, ${failures.length} failures`);
  expect(failures.slice(0, 3).join('\n\n')).toBe('');
  expect(failures).toHaveLength(0);
  expect(uncaptured).toEqual([]);
  expect(cases).toBeGreaterThanOrEqual(MIN_CASES);
  const isOfFewBits = (name: string) => /-w[42]$/.test(name);
  const never = [...variants].flatMap(([name, count]) => (count === 0 ? [name] : []));
  expect(never.filter((name) => !isOfFewBits(name))).toEqual([]);
  // These differ from those of 8 bits in how they load a word: of each bit a few, all of them in a thorough run.
  const ofFewBits = [...variants.keys()].filter(isOfFewBits);
  for (const bits of ['-w4', '-w2']) {
    const run = ofFewBits.filter((name) => name.endsWith(bits) && !never.includes(name));
    expect(run.length).toBeGreaterThanOrEqual(thorough ? ofFewBits.length / 2 : 4);
  }
});
