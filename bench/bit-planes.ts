/**
 * Whether operands of one or two bits would be multiplied faster as bit planes: AND, count the ones, shift, add (Zhou et al. 2016, DoReFa-Net,
 * equation 1), against the instructions that the kernels use. From registers alone, without what packing activations into planes costs.
 *
 *   npx tsx --conditions=octet:source bench/bit-planes.ts
 */
import asc from 'assemblyscript/asc';
import Table from 'cli-table3';
import { measurePeak } from '../src/wasm/peak.ts';
import { openDevice } from '../src/webgpu/device.ts';
import { bufferUsage } from '../src/webgpu/flags.ts';
import { measurePeaks } from '../src/webgpu/peak.ts';
import { PipelineCache } from '../src/webgpu/pipelines.ts';
import { createStopwatch, timeInterleaved } from '../src/webgpu/stopwatch.ts';
import { chooseVulkanDriver } from '../test/support/node-gpu.ts';

const BITS = [1, 2] as const;
type Bits = (typeof BITS)[number];

/** Steps before sums of eight bits must be widened: a step adds at most 8 to each, or 16 to the middle sum of two bits. */
const STEPS = { 1: 31, 2: 15 };
const ROUNDS = 20_000;
const TRIES = 30;

/** Terms of a product of operands of `bits` planes: planes of x and of w, and the sum that they go to, whose weight is 2^sum. */
function planeTerms(bits: Bits): { readonly x: number; readonly w: number; readonly sum: number }[] {
  const planes = [...Array(bits).keys()];
  return planes.flatMap((x) => planes.map((w) => ({ x, w, sum: x + w })));
}

/** AssemblyScript of `run(rounds)`: four independent products of 128 multiply-adds a step. */
function wasmSource(bits: Bits): string {
  const products = [0, 1, 2, 3];
  const sums = [...Array(2 * bits - 1).keys()];
  const step = products.flatMap((p) =>
    planeTerms(bits).map(
      ({ x, w, sum }) => `s${p}${sum} = i8x16.add(s${p}${sum}, i8x16.popcnt(v128.and(x${x}, w${p}${w})));`,
    ),
  );
  const names = products.flatMap((p) => sums.map((sum) => ({ name: `s${p}${sum}`, sum })));
  return `export function run(rounds: i32): i32 {
  let x0 = i8x16.splat(<i8>rounds), x1 = i8x16.splat(<i8>(rounds * 7));
  ${products.map((p) => `let w${p}0 = i8x16.splat(<i8>(rounds * ${p + 3})), w${p}1 = i8x16.splat(<i8>(rounds * ${p + 11}));`).join('\n  ')}
  let total = i32x4.splat(0);
  for (let round = 0; round < rounds; round++) {
    ${names.map(({ name }) => `let ${name} = i8x16.splat(0);`).join(' ')}
    for (let step = 0; step < ${STEPS[bits]}; step++) {
      ${step.join('\n      ')}
      x0 = v128.xor(x0, w00);
      x1 = v128.xor(x1, w11);
    }
    ${names
      .map(
        ({ name, sum }) =>
          `total = i32x4.add(total, i32x4.shl(i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(${name})), ${sum}));`,
      )
      .join('\n    ')}
  }
  return i32x4.extract_lane(total, 0) + i32x4.extract_lane(total, 1) + i32x4.extract_lane(total, 2) + i32x4.extract_lane(total, 3);
}
`;
}

async function wasmRate(bits: Bits): Promise<number> {
  const { binary, error } = await asc.compileString(wasmSource(bits), {
    enable: ['simd'],
    runtime: 'stub',
    optimizeLevel: 3,
  });
  if (error || !binary) throw new Error('the probe does not compile', { cause: error });
  const { instance } = await WebAssembly.instantiate(new Uint8Array(binary));
  const { run } = instance.exports as { readonly run: (rounds: number) => number };
  let best = Infinity;
  for (let i = 0; i < TRIES; i++) {
    const start = performance.now();
    run(ROUNDS);
    best = Math.min(best, performance.now() - start);
  }
  return (4 * 128 * STEPS[bits] * ROUNDS) / best / 1e6;
}

const GPU_STEPS = 512;
const WORKGROUP = 64;

/** As shaders/peak.wgsl.ts, with planes: a step multiplies two words of x with four words of w, 32 values each, eight products of them. */
function gpuSource(bits: Bits, workgroups: number): string {
  const term = (x: string, w: string) =>
    planeTerms(bits)
      .map(({ x: i, w: j, sum }) => `(countOneBits(vec4<u32>(x${i}.${x}) & w${j}${w}) << vec4<u32>(${sum}u))`)
      .join(' + ');
  const turns = ['', '.yzwx', '.zwxy', '.wxyz'];
  const lanes = ['x', 'y', 'z', 'w'];
  return `
@group(0) @binding(0) var<storage, read> seeds: array<u32, 4>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32, ${workgroups * WORKGROUP}>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let seed = vec4<u32>(seeds[0], seeds[1], seeds[2], seeds[3]) + id.x;
  let x0 = seed; let x1 = seed * 3u;
  var w0 = seed * 5u; var w1 = seed * 7u;
  var a = vec4<u32>(); var b = vec4<u32>();
  for (var step = 0u; step < ${GPU_STEPS}u; step++) {
    ${turns.map((turn, i) => `a += ${term(lanes[i], turn)};\n    b += ${term(lanes[(i + 1) % 4], turn)};`).join('\n    ')}
    w0 ^= w0 << vec4<u32>(1u);
    w1 ^= w1 << vec4<u32>(3u);
  }
  let total = a + b;
  sums[id.x] = total.x + total.y + total.z + total.w;
}
`;
}

async function gpuRates(): Promise<[name: string, rate: number][]> {
  chooseVulkanDriver();
  const opened = await openDevice({});
  const { device, timestamps } = opened;
  const pipelines = new PipelineCache(device);
  const stopwatch = createStopwatch(device, timestamps);
  // Enough for a software adapter, which this is for.
  const workgroups = 16;
  const rates: [string, number][] = Object.entries(await measurePeaks(opened, ['f32', 'dot4I8Packed']));
  for (const bits of BITS) {
    const { pipeline, layout } = await pipelines.kernel(`planes ${bits}`, gpuSource(bits, workgroups), [
      'read',
      'write',
    ]);
    const entries = [16, workgroups * WORKGROUP * 4].map((size, binding) => ({
      binding,
      resource: { buffer: device.createBuffer({ size, usage: bufferUsage.storage | bufferUsage.copyDst }) },
    }));
    device.queue.writeBuffer(
      entries[0].resource.buffer,
      0,
      new Uint32Array([0x1234567, 0x89abcdef, 0x2468ace, 0x13579bd]),
    );
    const bindGroup = device.createBindGroup({ layout, entries });
    const [{ samples }] = await timeInterleaved(stopwatch, [bits], {
      rounds: 5,
      encode: (pass) => {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(workgroups);
      },
    });
    const macs = 8 * 4 * 32 * GPU_STEPS * workgroups * WORKGROUP;
    rates.push([`bit planes, ${bits} × ${bits} bits`, macs / Math.min(...samples) / 1e6]);
  }
  stopwatch.dispose();
  return rates;
}

const { dot, relaxedDot } = await measurePeak();
const wasm: [string, number][] = [['i32x4.dot_i16x8_s', dot]];
if (relaxedDot !== null) wasm.push(['i32x4.relaxed_dot_i8x16_i7x16_add_s', relaxedDot]);
for (const bits of BITS) wasm.push([`bit planes, ${bits} × ${bits} bits`, await wasmRate(bits)]);

const table = new Table({
  style: { head: [], border: [], compact: true },
  head: ['backend', 'multiply-adds by', 'GMAC/s'],
});
for (const [backend, rates] of [
  ['wasm, a thread', wasm],
  ['webgpu', await gpuRates()],
] as const) {
  for (const [name, rate] of rates) table.push([backend, name, rate.toFixed(1)]);
}
console.log(table.toString());
process.exit(0);
