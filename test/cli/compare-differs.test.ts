/** Backends never differ, so here one byte of what the second computes is changed on its way to the comparison. */
import { expect, test, vi } from 'vitest';
import type * as Compare from '../../src/model/compare.ts';
import { octet } from './run.ts';
import { useWorkspace } from './workspace.ts';

vi.mock('../../src/model/compare.ts', async (importOriginal) => {
  const original = await importOriginal<typeof Compare>();
  const compareBackends: typeof Compare.compareBackends = async (actual, expected, inputs) => {
    const tensors = await expected.values(inputs);
    [...tensors.values()][2].data[7] ^= 1;
    return original.compareTensors(
      { backend: actual.backend, tensors: await actual.values(inputs) },
      { backend: expected.backend, tensors },
    );
  };
  return { ...original, compareBackends };
});

const path = useWorkspace();

test('exit code 1 and the first difference', async () => {
  const quantized = await octet(
    'quantize',
    path('float.onnx'),
    '-c',
    path('pictures'),
    '-o',
    path('int8.onnx'),
  );
  expect(quantized.code).toBe(0);
  const args = ['compare', path('int8.onnx'), '--backend', 'wasm,reference', '-i', path('pictures')];
  const { code, stdout, stderr } = await octet(...args);
  expect(code).toBe(1);
  expect(stdout).toMatch(/0\.png: wasm differs from reference, first in tensor/);
  expect(stdout).toMatch(/first at \(n 0, h 0, w 0, c 7\)|first at \(n 0/);
  expect(stderr).toMatch(/wasm and reference differ on 8 of 8 pictures/);
});
