import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { allOperators } from '../../src/graph/operators/host-registry.ts';

const root = new URL('../../src/', import.meta.url);
// Structs of the wasm kernels are named after operations, too: `parameterBlock('Add', …)`.
const sources = (readdirSync(root, { recursive: true }) as string[])
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({
    file: file.replaceAll('\\', '/'),
    text: readFileSync(new URL(file, root), 'utf8').replace(/parameterBlock\('\w+'/g, ''),
  }));

/** `MaxPool` lies in `max-pool.ts`, `com.microsoft.QGemm` in `com-microsoft-q-gemm.ts`. */
const fileOf = (op: string) =>
  `graph/operators/${op
    .replaceAll('.', '-')
    .replace(/(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '-')
    .toLowerCase()}.ts`;

describe.each([...allOperators.values()])('$op', (row) => {
  it('is named in its row and nowhere else in src', () => {
    const quoted = new RegExp(`['"]${row.op}['"]`);
    const places = sources.filter(({ text }) => quoted.test(text)).map(({ file }) => file);
    expect(places).toEqual([fileOf(row.op)]);
  });

  it('has a whole row', () => {
    const [fewest, most] = row.inputs;
    expect(fewest).toBeLessThanOrEqual(most);
    if (row.role === 'pointwise' || row.role === 'clamps')
      expect('unary' in row || 'binary' in row || 'channelwise' in row).toBe(true);
    if (row.learned) expect('macs' in row || 'channelwise' in row, 'multiplies, or is folded').toBe(true);
  });
});

it('every file of the folder that holds a row is in a table', () => {
  const rows = sources.flatMap(({ file, text }) =>
    file.startsWith('graph/operators/')
      ? [...text.matchAll(/^export const (\w+) = \w+Operator\(/gm)].map(() => file)
      : [],
  );
  expect(rows.toSorted()).toEqual([...allOperators.keys()].map(fileOf).toSorted());
});
