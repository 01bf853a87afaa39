import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { operatorTable, operatorTablePath, shadersOf } from '../../scripts/operator-table.ts';
import { InputError, ModelError } from '../../src/errors.ts';
import { defineOperator } from '../../src/graph/operators/operator.ts';
import type { Operator } from '../../src/ops/operator.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { wasmKernels } from '../../src/ops/wasm-kernels.ts';
import { webgpuKernels } from '../../src/ops/webgpu-kernels.ts';
import { quickCases } from '../support/cases.ts';

const root = new URL('../../', import.meta.url);

describe('families are complete', () => {
  const folders = readdirSync(new URL('src/ops/', root), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();

  it('each folder of src/ops is registered under its name', () => {
    expect(builtinOperators.map(({ kind }) => kind).toSorted()).toEqual(folders);
  });

  const kindsOf = (stage: 'device' | 'host') =>
    builtinOperators.filter((each) => (each.stage ?? 'device') === stage).map(({ kind }) => kind);
  const missing = (kind: string, members: readonly string[]) =>
    members.filter((member) => !existsSync(new URL(`src/ops/${kind}/${member}.ts`, root)));

  it.each(kindsOf('device'))('%s has a reference, a kernel a backend, shaders and test cases', (kind) => {
    const operator = builtinOperators.find((each) => each.kind === kind)!;
    expect(missing(kind, ['index', 'reference', 'webgpu', 'wasm'])).toEqual([]);
    expect(webgpuKernels[kind]).toBeDefined();
    expect(wasmKernels[kind]).toBeDefined();
    // Lowering itself makes constants.
    if (kind !== 'constant') expect(operator.onnx.length).toBeGreaterThan(0);
    expect(shadersOf(kind), `shaders/${kind}*.wgsl.ts`).not.toEqual([]);
    expect(quickCases().filter((each) => each.kind === kind).length).toBeGreaterThan(4);
  });

  it.each(kindsOf('host'))('%s, which runs on the host, has a reference and no kernel', (kind) => {
    expect(missing(kind, ['index', 'reference'])).toEqual([]);
    expect(webgpuKernels[kind] ?? wasmKernels[kind]).toBeUndefined();
  });

  it('an ONNX operator belongs to several only where all but one say which nodes they take', () => {
    const all = builtinOperators.filter((each) => !('takes' in each)).flatMap(({ onnx }) => onnx);
    expect(new Set(all).size).toBe(all.length);
  });
});

it('docs/operators.md is what the registry says (npm run docs)', async () => {
  expect(readFileSync(operatorTablePath, 'utf8')).toBe(await operatorTable());
});

describe('createOperatorRegistry', () => {
  const mine: Operator = {
    kind: 'mine',
    onnx: [defineOperator({ op: 'Mine', inputs: [1, 1], role: 'computes', shape: ({ shape }) => shape })],
    lower: () => undefined,
    reference: () => undefined,
    macs: () => 0,
  };
  const operation = (kind: string) => ({ kind, name: 'node', inputs: [], output: 0 });

  it('holds the built-in operators and the extra ones, and no other registry does', () => {
    const registry = createOperatorRegistry([mine]);
    expect(registry.of(operation('mine'))).toBe(mine);
    expect(registry.of(operation('conv2d')).kind).toBe('conv2d');
    expect(() => createOperatorRegistry().of(operation('mine'))).toThrow(ModelError);
  });

  it('refuses two operators of one kind', () => {
    expect(() => createOperatorRegistry([mine, mine])).toThrow(InputError);
    expect(() => createOperatorRegistry([{ ...mine, kind: 'conv2d' }])).toThrow(/"conv2d"/);
  });
});
