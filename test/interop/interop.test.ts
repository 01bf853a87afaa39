/** Files of other tools give ONNX Runtime's answers, and the same bytes on both CPU backends. */
import { describe, expect, test } from 'vitest';
import { type Fixture, judge, readFixtures } from '../support/interop.ts';

const fixtures = await readFixtures();

/** What does not run yet. */
const REFUSED: readonly RegExp[] = [];

/** What runs with less than 95 % of its multiply-adds in integers on the device. */
const ON_HOST: readonly RegExp[] = [
  // Scales that each run computes.
  /^onnxruntime\/dynamic-[us]8/,
  // Convolutions that the tool left in float.
  /^quark\/int8-transformer-default/,
];

/**
 * Steps of the output by which a result may be off. Octet rounds the exact accumulator where ONNX Runtime rounds it to float32 first: a
 * value near a tie may differ by one, and so may what is computed from it.
 */
const STEPS = 2;

/** The same of real outputs, relative to the largest. */
const DIFFERENCE = 0.02;

/** Float files are compared with their own real values: what they differ by is the error of 8 bits. */
const QUANTIZATION_ERROR = 0.2;

describe.each(fixtures)('$tool $setting $network', (fixture: Fixture) => {
  const name = `${fixture.tool}/${fixture.setting}.${fixture.network}`;
  const isRefused = REFUSED.some((each) => each.test(name));

  test(isRefused ? 'is refused' : 'runs', async () => {
    const { refusal, steps, difference, share, isSame } = await judge(fixture);
    if (isRefused) {
      expect(refusal, 'runs now: take it from the list').toBeDefined();
      return;
    }
    expect(refusal).toBeUndefined();
    expect(isSame, 'wasm differs from the reference').toBe(true);
    if (steps !== undefined && fixture.tool !== 'float') expect(steps).toBeLessThanOrEqual(STEPS + 1e-3);
    else expect(difference).toBeLessThanOrEqual(fixture.tool === 'float' ? QUANTIZATION_ERROR : DIFFERENCE);
    const isOnHost = ON_HOST.some((each) => each.test(name));
    if (isOnHost) expect(share, 'is on the device now: take it from the list').toBeLessThan(0.95);
    else expect(share).toBeGreaterThanOrEqual(0.95);
  });
});
