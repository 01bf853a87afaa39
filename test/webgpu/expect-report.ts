import { expect } from 'vitest';
import type { SuiteReport } from './suites/suite.ts';

/** Prints what ran where; fails on any failure, and where fewer cases ran than there must be. */
export function expectReport(
  where: string,
  name: string,
  { adapter, cases, failures }: SuiteReport,
  least: number,
): void {
  process.stdout.write(`${where}, ${name}: ${cases} GPU cases on ${adapter}, ${failures.length} failed\n`);
  expect(failures.slice(0, 10).join('\n\n')).toBe('');
  expect(failures).toHaveLength(0);
  expect(cases, `cases of ${name}`).toBeGreaterThanOrEqual(least);
}
