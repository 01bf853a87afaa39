/** How kernels load weights: the other side of the layouts in src/ops/conv2d/wasm-layouts.ts. */

/**
 * A vector of a panel (layout `panels`): what word `step` of four elements of x is multiplied by, for channels 0–3 (half 0) or 4–7 (half 1).
 *
 * @typeParam W how weights lie: int8, or int16
 * @typeParam X elements of x; wider than the weights, those are widened
 */
// @ts-ignore: decorator
@inline
export function loadWeights<W, X>(w: usize, step: usize, half: usize): v128 {
  if (sizeof<W>() < sizeof<X>()) return v128.load_ext<i8>(w + step * 16 + half * 8);
  return v128.load(w + step * 32 + half * 16);
}
