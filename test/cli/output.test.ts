import { expect, test } from 'vitest';
import { bytes, millisecondsEach } from '../../src/cli/output.ts';

test('bytes are in decimal units, as the README has them', () => {
  const counts = [0, 999, 1000, 1024, 999_949, 1_000_000, 2 ** 20, 33_825_077];
  expect(counts.map(bytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '1.0 kB',
    '999.9 kB',
    '1.00 MB',
    '1.05 MB',
    '33.83 MB',
  ]);
});

test('milliseconds are of one picture', () => {
  expect(millisecondsEach(3, 1000)).toBe('3.0');
  expect(millisecondsEach(0.0625, 2)).toBe('31.3');
});
