/** How kernels load weights: the other side of the layouts in src/ops/conv2d/wasm-layouts.ts. */

/** Bytes of the weights of a round: eight channels times four elements of x. */
// @ts-ignore: decorator
@inline
export function roundBytes<W>(): usize {
  return isSigned<W>() ? 32 * sizeof<W>() : 16;
}

/** All fields of a round, where weights lie in fields: `loadWeights` takes them apart. */
// @ts-ignore: decorator
@inline
export function loadFields<W>(w: usize): v128 {
  return isSigned<W>() ? i8x16.splat(0) : v128.load(w);
}

/** Of two fields of four bits in each byte the lower (place 0) or the upper, at the top of its byte. */
// @ts-ignore: decorator
@inline
function fieldsAt(fields: v128, place: usize): v128 {
  return v128.and(place == 0 ? i16x8.shl(fields, 4) : fields, i8x16.splat(-16));
}

/**
 * A vector of a panel (layout `panels`): what word `step` of four elements of x is multiplied by, for channels 0–3 (half 0) or 4–7 (half 1).
 *
 * @typeParam W how weights lie: int8, int16, or uint8, bytes of two fields of four bits
 * @typeParam X elements of x; wider than the weights, those are widened
 * @param fields of the round, by `loadFields`
 */
// @ts-ignore: decorator
@inline
export function loadWeights<W, X>(w: usize, fields: v128, step: usize, half: usize): v128 {
  if (!isSigned<W>()) {
    if (sizeof<X>() == 1) return fieldsAt(fields, half);
    const bytes = fieldsAt(fields, step);
    return half == 0 ? i16x8.extend_low_i8x16_s(bytes) : i16x8.extend_high_i8x16_s(bytes);
  }
  if (sizeof<W>() < sizeof<X>()) return v128.load_ext<i8>(w + step * 16 + half * 8);
  return v128.load(w + step * 32 + half * 16);
}
