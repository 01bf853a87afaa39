import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { renderTables } from '../../bench/tables.ts';

const root = path.resolve(import.meta.dirname, '../..');

test('tables in README, docs and bench/results are those of the JSON (npm run bench:tables)', async () => {
  const rendered = await renderTables();
  expect(rendered.size).toBeGreaterThan(2);
  for (const [file, text] of rendered) expect(await readFile(path.join(root, file), 'utf8'), file).toBe(text);
  expect(await readFile(path.join(root, 'README.md'), 'utf8')).toContain('<!-- table: bench/results/');
});
