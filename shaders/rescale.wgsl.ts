import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/**
 * Last step of a rescale: `clamp(zeroPoint + rne(sum · 2^−shift), lo, hi)`, ties to even, four lanes at once. The host proves
 * |sum| + 2^(shift − 1) < 2³¹. `shift` is 0…30.
 */
export const rescaleWgsl = wgsl`
fn roundShift(sum: vec4<i32>, shift: u32) -> vec4<i32> {
  // Half a unit, less one where the result is even: ties then go to the even neighbour. Both vanish where shift is 0.
  let unit = 1i << shift;
  let below = vec4<i32>((unit >> 1u) - i32(min(shift, 1u)));
  let odd = (sum >> vec4<u32>(shift)) & vec4<i32>(min(unit - 1, 1));
  return (sum + below + odd) >> vec4<u32>(shift);
}

fn rescaleSum(sum: vec4<i32>, shift: u32, zeroPoint: i32, lo: i32, hi: i32) -> vec4<i32> {
  return clamp(roundShift(sum, shift) + zeroPoint, vec4<i32>(lo), vec4<i32>(hi));
}
`;

/** The numbers of a rescale, as they stand in a shader's text (see `Rescale` in src/program/program.ts). */
export interface RescaleConstants {
  readonly multipliers: ArrayLike<number>;
  readonly inputZeroPoints: ArrayLike<number>;
  readonly shift: number;
  readonly zeroPoint: number;
  readonly lo: number;
  readonly hi: number;
}
