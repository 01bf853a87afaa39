/**
 * The final text of every kernel variant for one shape, kept in test/golden: a change of a template shows as a diff of the shader.
 * `npx vitest run test/kernels/golden.test.ts -u` writes them anew.
 */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { layGrid } from '../../src/ops/gpu-dispatch.ts';
import type { GpuCapabilities } from '../../src/ops/gpu-kernel.ts';
import { moreOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { webgpuKernelOf } from '../../src/ops/webgpu-kernels.ts';
import { quantizePixelsWgsl } from '../../shaders/quantize-pixels.wgsl.ts';
import { quickCases } from '../support/cases.ts';

/** One case of each kernel family; the first whose variants have a name gives that variant's text. */
const SHOWN = [
  'conv2d: 3x3 image 8x8',
  'conv2d: dense 512 to 10',
  'conv2d: dense past the f32 flush boundary',
  'conv2d: pool',
  'conv2d: depthwise',
  'conv2d: groups 3 of odd channels',
  'maxPool2d: 3x3 stride 2 padded',
  'averagePool2d: 3x3 uneven padding',
  'binary: sum, primes',
  'binary: product, primes by a pixel',
  'binary: product by a plane, batch 3',
  'binary: maximum of two tensors, primes',
  'binary: entry of each pair with a plane',
  'move: joined, 5, 8 and 3',
  'move: padded in whole words, through a table',
  'move: regrouped element by element',
  'lookup: by channel, primes, batch 3',
];

const capabilities: GpuCapabilities = {
  adapterClass: 'software',
  packedDot: true,
  subgroupSize: 4,
  limits: {
    maxComputeWorkgroupStorageSize: 32768,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupsPerDimension: 65535,
    maxComputeWorkgroupSizeX: 256,
    maxStorageBufferBindingSize: 2 ** 27,
  },
};

function shownTexts(): Map<string, string> {
  const registry = createOperatorRegistry(moreOperators);
  const cases = quickCases();
  const shown = [
    ...SHOWN.map((name) => cases.find((c) => c.name === name)),
    cases.find((c) => c.kind === 'lookup'),
    cases.find((c) => c.kind === 'constant'),
    cases.find((c) => c.kind === 'resize'),
    cases.find((c) => c.name === 'matMul: primes, batch 3'),
    cases.find((c) => c.name === 'matMul: past large tiles'),
    cases.find((c) => c.name === 'softmax: primes, batch 3'),
    cases.find((c) => c.kind === 'logSoftmax'),
    cases.find((c) => c.name === 'normalize: primes, batch 3'),
    cases.find((c) => c.name === 'normalize: groups of three channels'),
    cases.find((c) => c.name === 'argMax: the last of the least'),
    cases.find((c) => c.name === 'reduce: pixels of primes, batch 3'),
    cases.find((c) => c.name === 'reduce: root of squares of channels'),
  ];
  const texts = new Map<string, string>();
  for (const [i, found] of shown.entries()) {
    if (!found) throw new Error(`no case is called "${SHOWN[i]}"`);
    const { program, batch, kind } = found;
    const operation = program.operations[0];
    const kernel = webgpuKernelOf(registry, operation)!;
    for (const { name, dispatches } of kernel.variants(
      operation,
      (id) => program.tensors[id],
      batch,
      capabilities,
    )) {
      // The texts of a sum and a product, of moves, or of reductions are texts of one variant.
      const isVariantOf = kind === 'binary' || kind === 'move' || kind === 'reduce';
      const file = isVariantOf
        ? `${found.name}${kind === 'reduce' ? name.slice(kind.length) : ''}`.replace(/[^a-z0-9]+/gi, '-')
        : name.startsWith(kind)
          ? name
          : `${kind}-${name}`;
      if (!texts.has(file)) texts.set(file, dispatches.map(({ code }) => code).join('\n'));
    }
  }
  const { grid } = layGrid(32 * 32, capabilities);
  texts.set('quantize-pixels', quantizePixelsWgsl({ pixels: 32 * 32, channels: 3, zeroPoint: -14 }, grid));
  return texts;
}

const texts = shownTexts();

test.each([...texts])('%s', async (file, text) => {
  await expect(text).toMatchFileSnapshot(`../golden/${file}.wgsl`);
});

test('no golden text is left of a variant that is gone', () => {
  const kept = readdirSync(new URL('../golden/', import.meta.url)).filter((name) => name.endsWith('.wgsl'));
  expect(kept.sort()).toEqual([...texts.keys()].map((file) => `${file}.wgsl`).sort());
});
