import type { Arithmetic } from './arithmetic.wgsl.ts';
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/** Invocations of a workgroup. */
export const PEAK_WORKGROUP = 64;

/** Multiply-adds of one step of one invocation: 2 accumulators of 4 lanes, 4 terms each. */
export function peakMacsPerStep(arithmetic: Arithmetic): number {
  return 32 * (arithmetic === 'dot4I8Packed' ? 4 : 1);
}

/**
 * The most multiply-adds a second that an arithmetic family gives on a device: the inner loop of a convolution without its memory. What kernels
 * reach is stated as a share of it.
 *
 *   seeds  [4] u32, values that no compiler knows
 *   sums   [WORKGROUPS · 64] u32, written so that no compiler drops the work
 *
 * An invocation takes STEPS steps; in each, two accumulators of four lanes take four terms. The weights' lanes are turned from term to term, so
 * that none can be factored out, and change from step to step in a way that no compiler sums up. Registers: 16, as many as a CPU's vector
 * unit has, so that software adapters spill nothing. Workgroup memory: none.
 */
export const peakWgsl = (arithmetic: Arithmetic, steps: number, workgroups: number) => wgsl`
const STEPS = ${steps}u;
@group(0) @binding(0) var<storage, read> seeds: array<u32, 4>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32, ${workgroups * PEAK_WORKGROUP}>;

#if ${arithmetic === 'dot4I8Packed'}
alias Value = u32;
alias Acc = vec4<i32>;
alias Weights = vec4<u32>;

fn term(x: Value, w: Weights) -> Acc {
  return vec4<i32>(dot4I8Packed(x, w.x), dot4I8Packed(x, w.y), dot4I8Packed(x, w.z), dot4I8Packed(x, w.w));
}
#else
alias Value = ${arithmetic === 'f32' ? 'f32' : 'i32'};
alias Acc = vec4<Value>;
alias Weights = vec4<Value>;

fn term(x: Value, w: Weights) -> Acc {
  return x * w;
}
#endif

@compute @workgroup_size(${PEAK_WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let seed = vec4<u32>(seeds[0], seeds[1], seeds[2], seeds[3]) + id.x;
  let x = vec4<Value>(seed % 251u);
  var w = Weights(seed % 255u);
  var acc0 = Acc();
  var acc1 = Acc();
  for (var step = 0u; step < STEPS; step++) {
    acc0 += term(x.x, w);
    acc1 += term(x.y, w);
    acc0 += term(x.y, w.yzwx);
    acc1 += term(x.z, w.yzwx);
    acc0 += term(x.z, w.zwxy);
    acc1 += term(x.w, w.zwxy);
    acc0 += term(x.w, w.wxyz);
    acc1 += term(x.x, w.wxyz);
#if ${arithmetic === 'f32'}
    w *= 0.99;
#else
    w ^= w << vec4<u32>(1u);
#endif
  }
  let total = acc0 + acc1;
  sums[id.x] = bitcast<u32>(total.x + total.y + total.z + total.w);
}
`;
