import { expect, test } from 'vitest';
import { fuzzFiles } from '../../scripts/fuzz/files.ts';

test('a thousand mutated files are refused with an OctetError, or load and give the same bytes', async () => {
  // Processor time, and still generous: test files run beside each other.
  const { counts, findings } = await fuzzFiles({ seed: 18, files: 1_000, slowMs: 10_000 });
  expect(findings).toEqual([]);
  expect(counts.files).toBe(1_000);
  // The mutations are worth their name where some are accepted.
  expect(counts.refused).toBeGreaterThan(200);
  expect(counts.decoded).toBeGreaterThan(50);
  expect(counts.loaded).toBeGreaterThan(50);
}, 300_000);
