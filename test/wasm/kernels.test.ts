/** Every variant of every kernel against the reference, byte by byte, on one thread and on two. Relaxed SIMD is tested in browser.test.ts. */
import { moreOperators } from '../../src/ops/more-operators.ts';
import { describe, expect, test } from 'vitest';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { planWasm } from '../../src/wasm/plan.ts';
import { panels, transformed } from '../../src/ops/conv2d/wasm-layouts.ts';
import { convolutionShape } from '../../src/ops/conv2d/wasm-shape.ts';
import { provenScaling, roundsExactly } from '../../src/ops/conv2d/wasm-epilogue.ts';
import type { Conv2dOperation } from '../../src/program/program.ts';
import { int8Weights } from '../../src/program/weights.ts';
import { loadEngine } from '../../src/wasm/engine.ts';
import { LinearMemory } from '../../src/wasm/memory.ts';
import { packWeights } from '../../src/wasm/packing.ts';
import { createInlineExecutor, createThreadPool } from '../../src/wasm/pool.ts';
import { type OperationCase, quickCases } from '../support/cases.ts';
import { createProgramBuilder, requantizeBy } from '../support/program-builder.ts';
import { createRandom } from '../support/random.ts';
import { KernelBench } from './kernel-bench.ts';

/**
 * Multipliers of one quad of channels whose shifts differ by `bits`: brought to a common one they fit 31 bits up to 7 bits apart, beyond it lanes
 * are taken one by one. Odd accumulators are ties at ½, those that are odd multiples of 2^bits at 2^−(bits + 1).
 *
 * @param mantissa from 1 (2²³, as a 24-bit integer) to below 2
 */
function multipliersApart(bits: number, mantissa: number): OperationCase {
  const builder = createProgramBuilder();
  const input = builder.input([8, 8, 4], 0);
  const output = builder.tensor([8, 8, 8], 0);
  const weights = Int8Array.from({ length: 8 * 4 }, (_, i) => (i % 4 === 0 ? (i % 8 === 0 ? 1 : 64) : 0));
  const bias = new Int32Array(8);
  builder.emit<Conv2dOperation>({
    kind: 'conv2d',
    name: 'far apart',
    inputs: [input.id],
    output: output.id,
    kernel: [1, 1],
    stride: [1, 1],
    pads: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
    weights: int8Weights({ outChannels: 8, taps: 1, inChannels: 4 }, weights),
    bias,
    requantize: requantizeBy(8, (c) => mantissa * 2 ** (c % 2 === 0 ? -1 : -1 - bits), 0),
    pool: false,
    residual: null,
  });
  const program = builder.build('far apart');
  const data = Int8Array.from({ length: 8 * 8 * 4 }, (_, i) => (i >> 2) - 32);
  return {
    name: `multipliers ${mantissa} · 2^−1 and 2^−${bits + 1}`,
    kind: 'conv2d',
    program,
    batch: 1,
    inputs: new Map([[input.id, data]]),
  };
}

/** Accumulators given as biases, since all weights are 0: at the ends of what f64 scales exactly, and beyond. */
function accumulators(name: string, accs: readonly number[], factor: number): OperationCase {
  const builder = createProgramBuilder();
  const input = builder.input([1, 3, 4], 0);
  const output = builder.tensor([1, 3, accs.length], 5);
  builder.emit<Conv2dOperation>({
    kind: 'conv2d',
    name,
    inputs: [input.id],
    output: output.id,
    kernel: [1, 1],
    stride: [1, 1],
    pads: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
    weights: int8Weights(
      { outChannels: accs.length, taps: 1, inChannels: 4 },
      new Int8Array(accs.length * 4),
    ),
    bias: Int32Array.from(accs),
    requantize: requantizeBy(accs.length, () => factor, 5),
    pool: false,
    residual: null,
  });
  const program = builder.build(name);
  return { name, kind: 'conv2d', program, batch: 1, inputs: new Map([[input.id, new Int8Array(12)]]) };
}

/** Largest |acc| that f64 multiplies exactly by 24 bits. */
const LARGEST = 2 ** 29 - 1;
/** The largest 24-bit mantissa: products of 53 bits, and results of up to 64. */
const FULL = (2 ** 24 - 1) * 2 ** -47;
/** Nearest to ties: the product is half an integer less or more than 2⁻²³. */
const NEAR_TIES = [0.5, 1.5, 31.5, 62.5].flatMap((half) =>
  [-1, 0, 1].flatMap((off) => [1, -1].map((sign) => sign * (Math.round(half / FULL) + off))),
);

const edges = [
  // Products of 54 bits, (2k + 1) · 2⁴⁶ ± 1: f64 would round them to ties, and those to the wrong side.
  accumulators('80.5 and a little', [854846045, -854846045], 13253109 * 2 ** -47),
  accumulators('79.5 less a little', [860749615, -860749615], 12998705 * 2 ** -47),
  accumulators('53-bit products', [LARGEST, -LARGEST, LARGEST - 1, 1 - LARGEST, ...NEAR_TIES], FULL),
  accumulators('one bit more', [LARGEST + 1, -LARGEST - 1, LARGEST + 2, 3 * 2 ** 28 + 1, ...NEAR_TIES], FULL),
  accumulators(
    'ties',
    [1, 3, 5, -1, -3, -5, 7, 2 ** 7 - 1].map((odd) => odd * 2 ** 22),
    2 ** -23,
  ),
  // Around 2³¹: as a low word it would have the other sign.
  ...[2 ** 2 * (1 - 2 ** -24), 2 ** 2, 2 ** 2 * (1 + 2 ** -23), 6, 2 ** 20].map((factor) =>
    accumulators(`products up to ${LARGEST} · ${factor}`, [LARGEST, -LARGEST, 1, -1, 0, 3, -3, 100], factor),
  ),
];

test('how a panel is scaled is proved from its largest accumulators', () => {
  const proven = (bound: number, factor: number) => provenScaling([0, bound], Float64Array.of(1, factor));
  expect(proven(LARGEST, FULL)).toBe('exact');
  expect(proven(LARGEST + 1, FULL)).toBe('lanes');
  expect(proven(2 ** 20, 2 ** 11 - 2 ** -11)).toBe('exact');
  expect(proven(2 ** 20, 2 ** 11 - 2 ** -12)).toBe('clamped');
  expect(proven(2 ** 20, 2 ** 11)).toBe('clamped');
});

test('larger accumulators are scaled by f64 where its rounded products give the same int8', () => {
  const bytes = { zeroPoint: 0, lo: -128, hi: 127 };
  // A channel that batch norm has switched off: a bias beyond 2²⁹, next to no multiplier.
  expect(roundsExactly(2 ** 31 - 1, 13253109, 52, bytes)).toBe(true);
  // 80.5 and a little: the product takes 54 bits, and f64 makes a tie of it.
  expect(roundsExactly(854846045, 13253109, 47, bytes)).toBe(false);
  expect(roundsExactly(854846045, 13253109, 47, { ...bytes, lo: -80, hi: 80 })).toBe(true);
  expect(roundsExactly(854846044, 13253109, 47, bytes)).toBe(true);
});

const cases = [
  ...quickCases(),
  ...edges,
  ...[7, 8, 12].flatMap((bits) => [1, 1.75].map((mantissa) => multipliersApart(bits, mantissa))),
];

for (const threads of [1, 2]) {
  test(`SIMD kernels on ${threads} thread(s) equal the reference`, async () => {
    const bench = await KernelBench.open(threads, false);
    try {
      const { runs, failures } = await bench.run(cases);
      expect(failures.slice(0, 5).join('\n\n')).toBe('');
      // Each family has met its cases: a kernel that is never offered would pass unseen.
      const least = {
        'direct-8': 100,
        'direct-16': 8,
        depthwise: 6,
        'winograd-2': 25,
        'winograd-4': 25,
        simd: 40,
      };
      for (const [name, count] of Object.entries(least)) expect(runs[name], name).toBeGreaterThan(count);
    } finally {
      bench.dispose();
    }
  });
}

test('no operation that has a kernel is planned on the CPU', () => {
  const operators = createOperatorRegistry(moreOperators);
  for (const { name, program, batch } of quickCases()) {
    const { dispatches } = planWasm({
      program,
      operators,
      batch,
      capabilities: { relaxedDot: 'none' },
      keep: [],
    });
    expect(dispatches.length, name).toBeGreaterThan(0);
  }
});

describe.each([1, 2])('weights packed by kernels on %i thread(s)', (threads) => {
  const random = createRandom(77);
  const shapes = [
    { outChannels: 3, taps: 6, inChannels: 5 },
    { outChannels: 17, taps: 9, inChannels: 8 },
    // More than one part of the source.
    { outChannels: 1030, taps: 9, inChannels: 72 },
    { outChannels: 9, taps: 1, inChannels: 70000 },
  ];
  const cases = shapes.flatMap((shape) => {
    const weights = int8Weights(shape, random.int8s(shape.outChannels * shape.taps * shape.inChannels));
    const [kernel, channels] = [shape.taps / (shape.taps % 3 === 0 ? 3 : 1), shape.inChannels];
    const convolution = convolutionShapeOf(shape.outChannels, [shape.taps / kernel, kernel], channels);
    const layouts = [panels(convolution, kernel, 1, '2xint8'), panels(convolution, kernel, 1, '4xint8')];
    if (shape.taps === 9 && channels % 8 === 0) {
      layouts.push(...([2, 4] as const).map((size) => transformed(convolution.panels, size)));
    }
    return layouts.map((layout) => ({ weights, layout }));
  });

  test('are those that the layouts pack', async () => {
    const { module } = await loadEngine({ shared: threads > 1, relaxed: false });
    const memory = new LinearMemory(threads > 1);
    const executor =
      threads > 1
        ? await createThreadPool(module, memory.memory, threads)
        : await createInlineExecutor(module, memory.memory);
    try {
      for (const [plan, { weights, layout }] of cases.entries()) {
        const packing = layout.packing!(weights)!;
        const guard = 64;
        const block = memory.allocate(packing.bytes + 2 * guard);
        memory.bytesAt(block.address, block.bytes).fill(0xa5);
        await packWeights(
          { executor, memory },
          [{ packing, address: block.address + guard }],
          plan,
          () => undefined,
        );
        const expected = new Uint8Array(packing.bytes + 2 * guard).fill(0xa5);
        const { buffer, byteOffset, byteLength } = layout.pack(weights);
        expected.set(new Uint8Array(buffer, byteOffset, byteLength), guard);
        const found = memory.bytesAt(block.address, expected.length);
        expect(Buffer.compare(found, expected), `${layout.name}, ${weights.outChannels}×${weights.k}`).toBe(
          0,
        );
        memory.release(block);
      }
    } finally {
      executor.dispose();
    }
  });
});

function convolutionShapeOf(outChannels: number, kernel: readonly [number, number], channels: number) {
  const builder = createProgramBuilder();
  const input = builder.input([8, 8, channels], 0);
  const output = builder.tensor([8 - kernel[0] + 1, 8 - kernel[1] + 1, outChannels], 0);
  const operation = builder.emit<Conv2dOperation>({
    kind: 'conv2d',
    name: 'shape',
    inputs: [input.id],
    output: output.id,
    kernel,
    stride: [1, 1],
    pads: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
    weights: int8Weights({ outChannels, taps: 1, inChannels: 1 }, new Int8Array(outChannels)),
    bias: new Int32Array(outChannels),
    requantize: null,
    pool: false,
    residual: null,
  });
  return convolutionShape(operation, input);
}
