/** What can be known of the WebGPU backend without a device. */
import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import type { GpuCapabilities } from '../../src/ops/gpu-kernel.ts';
import type { MoveOperation, Conv2dOperation } from '../../src/program/program.ts';
import { int8Weights } from '../../src/program/weights.ts';
import { version } from '../../src/version.ts';
import { classifyAdapter } from '../../src/webgpu/adapter.ts';
import { bindingAlignment, planExecution } from '../../src/webgpu/execution-plan.ts';
import { createProgramBuilder, requantizeBy, joined, rescaleBy } from '../support/program-builder.ts';
import { randomProgram } from '../support/random-program.ts';

const capabilities: GpuCapabilities = {
  adapterClass: 'discrete',
  packedDot: true,
  subgroupSize: 32,
  limits: {
    maxComputeWorkgroupStorageSize: 16_384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupsPerDimension: 65_535,
    maxComputeWorkgroupSizeX: 256,
    maxStorageBufferBindingSize: 134_217_728,
  },
};

describe('execution plan', () => {
  const operators = createOperatorRegistry();

  test.each([7, 8, 14, 15, 40])(
    'a concat of %i inputs binds no more buffers than every device allows',
    (count) => {
      const builder = createProgramBuilder();
      const parts = Array.from({ length: count }, () => builder.input([2, 2, 4], 0));
      const output = builder.tensor([2, 2, 4 * count], 0);
      builder.emit<MoveOperation>({
        kind: 'move',
        name: 'concat',
        inputs: parts.map(({ id }) => id),
        output: output.id,
        parts: joined(
          parts,
          parts.map(() => rescaleBy([0.5], [0], 0)),
        ),
        fill: 0,
      });
      const { dispatches } = planExecution({
        program: builder.build('concat'),
        operators,
        batch: 1,
        capabilities,
        keep: [],
        choose: ({ variants }) => variants[0],
      });
      // The default `maxStorageBuffersPerShaderStage`: software adapters have more, and would not notice.
      for (const { dispatch } of dispatches) expect(dispatch.bindings.length).toBeLessThanOrEqual(8);
      expect(dispatches).toHaveLength(Math.ceil(count / 5));
      const read = dispatches.flatMap(({ dispatch }) =>
        dispatch.bindings.flatMap((binding) =>
          binding.kind === 'tensor' && binding.access === 'read' ? [binding.tensor] : [],
        ),
      );
      expect(read).toEqual(parts.map(({ id }) => id));
    },
  );

  test('no dispatch reads and writes one buffer, no two live tensors overlap, offsets are aligned', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 4 }), fc.boolean(), (seed, batch, keepAll) => {
        const program = randomProgram(seed);
        const keep = keepAll ? program.tensors.map(({ id }) => id) : [];
        const { dispatches, memory } = planExecution({
          program,
          operators,
          batch,
          capabilities,
          keep,
          // Any variant may be chosen.
          choose: ({ variants }) => variants[seed % variants.length],
        });
        for (const { bindings } of dispatches) {
          const arenas = (access: string) =>
            bindings.flatMap((binding) =>
              binding.kind === 'arena' && binding.access === access ? [binding.arena] : [],
            );
          const written = arenas('write');
          expect(written.length).toBeGreaterThan(0);
          expect(arenas('read').filter((arena) => written.includes(arena))).toEqual([]);
        }
        for (const [index, a] of memory.allocations.entries()) {
          expect(a.offset % bindingAlignment).toBe(0);
          expect(a.offset + a.bytes).toBeLessThanOrEqual(memory.arenas[a.arena]);
          for (const b of memory.allocations.slice(index + 1)) {
            const together = a.firstStep <= b.lastStep && b.firstStep <= a.lastStep;
            const overlap =
              a.arena === b.arena && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
            expect(together && overlap, `${a.name} and ${b.name}`).toBe(false);
          }
        }
        if (keepAll) {
          const last = dispatches.length + 1;
          expect(
            memory.allocations.filter(({ id }) => keep.includes(id)).every((a) => a.lastStep === last),
          ).toBe(true);
        }
      }),
      { seed: 7, numRuns: 60 },
    );
  });

  test('a GPU divides the K of a layer with few outputs among invocations', () => {
    for (const [size, channels, outChannels] of [
      [1, 4096, 10],
      [2, 512, 512],
    ] as const) {
      const builder = createProgramBuilder();
      const x = builder.input([size, size, channels]);
      const y = builder.tensor([1, 1, outChannels]);
      builder.emit<Conv2dOperation>({
        kind: 'conv2d',
        name: 'layer',
        inputs: [x.id],
        output: y.id,
        kernel: [size, size],
        stride: [1, 1],
        pads: [0, 0, 0, 0],
        dilation: [1, 1],
        groups: 1,
        weights: int8Weights(
          { outChannels, taps: size * size, inChannels: channels },
          new Int8Array(outChannels * size * size * channels),
        ),
        bias: new Int32Array(outChannels),
        requantize: requantizeBy(outChannels, () => 0.001, 0),
        pool: false,
        residual: null,
      });
      const { operations } = planExecution({
        program: builder.build('layer'),
        operators,
        batch: 1,
        capabilities,
        keep: [],
        choose: ({ variants }) => variants[0],
      });
      expect(operations[0].variant!.name).toMatch(/^split-k/);
    }
  });

  test('an operation without a kernel is refused by name', () => {
    const program = randomProgram(1);
    const bare = {
      operators: operators.operators,
      of: () => ({ ...operators.operators[0], webgpu: { variants: () => [], tuningKey: () => '' } }),
    };
    expect(() =>
      planExecution({
        program,
        operators: bare,
        batch: 1,
        capabilities,
        keep: [],
        choose: ({ variants }) => variants[0],
      }),
    ).toThrow(`operation "${program.operations[0].name}"`);
  });
});

describe('adapter class', () => {
  const info = { vendor: '', architecture: '', device: '', description: '' };

  test.each([
    [{ vendor: 'google', architecture: 'swiftshader' }, 'software'],
    [{ vendor: 'mesa', description: 'llvmpipe (LLVM 15.0.6, 256 bits)' }, 'software'],
    [{ vendor: 'microsoft', description: 'Microsoft Basic Render Driver' }, 'software'],
    [{ vendor: 'nvidia', isFallbackAdapter: true }, 'software'],
    [{ vendor: 'nvidia', architecture: 'hopper' }, 'discrete'],
    [{ vendor: 'amd', architecture: 'rdna-3' }, 'discrete'],
    [{ vendor: 'amd', architecture: 'gcn-5' }, 'integrated'],
    [{ vendor: 'intel', architecture: 'xe' }, 'integrated'],
    [{ vendor: 'intel', architecture: 'xe-2hpg' }, 'discrete'],
    [{ vendor: 'apple', architecture: 'metal-3' }, 'apple'],
    [{ vendor: 'qualcomm', architecture: 'adreno-7xx' }, 'integrated'],
    [{}, 'unknown'],
  ] as const)('%o is %s', (names, expected) => {
    expect(classifyAdapter({ ...info, ...names })).toBe(expected);
  });
});

test("the version is package.json's", () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(version).toBe(manifest.version);
});
