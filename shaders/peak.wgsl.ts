import type { Arithmetic } from './arithmetic.wgsl.ts';
import { unroll } from './unroll.ts';
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/** Invocations of a workgroup. */
export const PEAK_WORKGROUP = 64;

/** Accumulators of four channels that an invocation keeps: enough that none waits for itself. */
const ACCUMULATORS = 8;

/** Multiply-adds of one step of one invocation. */
export function peakMacsPerStep(arithmetic: Arithmetic): number {
  return ACCUMULATORS * (arithmetic === 'dot4I8Packed' ? 16 : 4);
}

/**
 * The most multiply-adds a second that an arithmetic family gives on a device: the inner loop of a convolution without its memory. What kernels
 * reach is stated as a share of it.
 *
 *   seeds  [4] u32, values that no compiler knows
 *   sums   [WORKGROUPS · 64] u32, written so that no compiler drops the work
 *
 * An invocation takes STEPS steps; in each it multiplies ACCUMULATORS inputs by four weights, held in registers. Weights change from step to
 * step in a way that no compiler sums up. Registers: 5 · ACCUMULATORS. Workgroup memory: none.
 */
export const peakWgsl = (arithmetic: Arithmetic, steps: number, workgroups: number) => wgsl`
const STEPS = ${steps}u;
@group(0) @binding(0) var<storage, read> seeds: array<u32, 4>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32, ${workgroups * PEAK_WORKGROUP}>;

@compute @workgroup_size(${PEAK_WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let seed = vec4<u32>(seeds[0], seeds[1], seeds[2], seeds[3]) + id.x;
#if ${arithmetic === 'dot4I8Packed'}
  var w = seed;
${unroll(ACCUMULATORS, (i) => `  let x${i} = seed.x * ${2 * i + 3}u;\n  var acc${i} = vec4<i32>();`)}
  for (var step = 0u; step < STEPS; step++) {
${unroll(ACCUMULATORS, (i) => `    acc${i} += vec4<i32>(dot4I8Packed(x${i}, w.x), dot4I8Packed(x${i}, w.y), dot4I8Packed(x${i}, w.z), dot4I8Packed(x${i}, w.w));`)}
    w ^= w << vec4<u32>(1u);
  }
#elif ${arithmetic === 'f32'}
  var w = vec4<f32>(seed % 255u);
${unroll(ACCUMULATORS, (i) => `  let x${i} = vec4<f32>(f32(seed.x % ${2 * i + 3}u));\n  var acc${i} = vec4<f32>();`)}
  for (var step = 0u; step < STEPS; step++) {
${unroll(ACCUMULATORS, (i) => `    acc${i} = fma(x${i}, w, acc${i});`)}
    w *= 0.99;
  }
#else
  var w = vec4<i32>(seed % 255u);
${unroll(ACCUMULATORS, (i) => `  let x${i} = i32(seed.x % ${2 * i + 3}u);\n  var acc${i} = vec4<i32>();`)}
  for (var step = 0u; step < STEPS; step++) {
${unroll(ACCUMULATORS, (i) => `    acc${i} += x${i} * w;`)}
    w ^= w << vec4<u32>(1u);
  }
#endif
  let total = ${Array.from({ length: ACCUMULATORS }, (_, i) => `acc${i}`).join(' + ')};
  sums[id.x] = bitcast<u32>(total.x + total.y + total.z + total.w);
}
`;
