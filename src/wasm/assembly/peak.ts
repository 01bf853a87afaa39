/**
 * The most that this processor does of one instruction, registers only: what the kernels' speed is a share of. Twelve independent
 * sums, so that latency does not count.
 */

/** `i32x4.dot_i16x8_s` with its addition. 12 · 8 multiply-adds a round. */
export function peakDot(rounds: i32): i32 {
  const x = i16x8.splat(<i16>rounds);
  let a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
  for (let round = 0; round < rounds; round++) {
    a = i32x4.add(a, i32x4.dot_i16x8_s(a, x));
    b = i32x4.add(b, i32x4.dot_i16x8_s(b, x));
    c = i32x4.add(c, i32x4.dot_i16x8_s(c, x));
    d = i32x4.add(d, i32x4.dot_i16x8_s(d, x));
    e = i32x4.add(e, i32x4.dot_i16x8_s(e, x));
    f = i32x4.add(f, i32x4.dot_i16x8_s(f, x));
    g = i32x4.add(g, i32x4.dot_i16x8_s(g, x));
    h = i32x4.add(h, i32x4.dot_i16x8_s(h, x));
    i = i32x4.add(i, i32x4.dot_i16x8_s(i, x));
    j = i32x4.add(j, i32x4.dot_i16x8_s(j, x));
    k = i32x4.add(k, i32x4.dot_i16x8_s(k, x));
    l = i32x4.add(l, i32x4.dot_i16x8_s(l, x));
  }
  const sum = i32x4.add(
    i32x4.add(i32x4.add(i32x4.add(a, b), i32x4.add(c, d)), i32x4.add(i32x4.add(e, f), i32x4.add(g, h))),
    i32x4.add(i32x4.add(i, j), i32x4.add(k, l)),
  );
  return i32x4.extract_lane(sum, 0);
}
