/**
 * Weights from the order in which a program has them, int8 [outChannels][taps][inChannels], to that in which kernels read them: the same bytes as the
 * layouts of src/ops/conv2d/wasm-layouts.ts pack. A unit is a panel of eight output channels; `outChannels` counts those from the first unit on.
 */
const PANEL = 8;

/** Layout `panels` of int8 with `depth` input channels, 2 or 4, a lane. `channels` are the stored ones. */
export function packPanels(
  source: usize, target: usize, outChannels: i32, taps: i32, inChannels: i32, channels: i32, depth: i32, unitStart: i32, unitEnd: i32,
): void {
  const tapBytes = <usize>(channels * PANEL);
  const panelBytes = <usize>taps * tapBytes;
  const whole = inChannels & -depth;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const panel = target + <usize>unit * panelBytes;
    memory.fill(panel, 0, panelBytes);
    const first = unit * PANEL;
    const outputs = min(PANEL, outChannels - first);
    let from = source + <usize>(first * taps * inChannels);
    for (let o = 0; o < outputs; o++) {
      let tap = panel + <usize>(o * depth);
      for (let t = 0; t < taps; t++, tap += tapBytes) {
        let to = tap;
        let c = 0;
        if (depth == 4) for (; c < whole; c += 4, from += 4, to += 4 * PANEL) store<u32>(to, load<u32>(from));
        else for (; c < whole; c += 2, from += 2, to += 2 * PANEL) store<u16>(to, load<u16>(from));
        for (; c < inChannels; c++, from++, to++) store<u8>(to, load<u8>(from));
      }
    }
  }
}

/**
 * Layout `transformed`, G w Gᵀ of F(size×size, 3×3); `plane` is the bytes from one place to the next.
 *
 * scratch  16 bytes each: 9 taps, two neighbouring input channels of eight outputs as int8; then `size + 2` rows of 3 vectors of int16
 */
export function packWinograd(
  source: usize, target: usize, outChannels: i32, inChannels: i32, plane: usize, size: i32, scratch: usize, unitStart: i32, unitEnd: i32,
): void {
  const rowBytes = <usize>(9 * inChannels);
  const half = scratch + 9 * 16;
  const rows = size + 2;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const first = unit * PANEL;
    const outputs = min(PANEL, outChannels - first);
    memory.fill(scratch, 0, 9 * 16);
    for (let c = 0; c < inChannels; c += 2) {
      let from = source + <usize>first * rowBytes + <usize>c;
      for (let o = 0; o < outputs; o++, from += rowBytes) {
        let tap = from;
        for (let to = scratch + (<usize>o << 1); to < half; to += 16, tap += inChannels) store<u16>(to, load<u16>(tap));
      }
      let to = target + (<usize>(unit * inChannels + c) << 4);
      for (let part: usize = 0; part < 16; part += 8, to += 16) {
        for (let column: usize = 0; column < 48; column += 16) {
          const taps = scratch + column + part;
          transform(
            size, v128.load_ext<i8>(taps), v128.load_ext<i8>(taps, 48), v128.load_ext<i8>(taps, 96), half + column, 48,
          );
        }
        let row = half;
        let place = to;
        for (let r = 0; r < rows; r++, row += 48, place += <usize>rows * plane) {
          transform(size, v128.load(row), v128.load(row, 16), v128.load(row, 32), place, plane);
        }
      }
    }
  }
}

/** G times three values: of F(2, 3) [2 0 0; 1 1 1; 1 −1 1; 0 0 2], of F(4, 3) [6 0 0; −4 −4 −4; −4 4 −4; 1 2 4; 1 −2 4; 0 0 8]. */
function transform(size: i32, a: v128, b: v128, c: v128, to: usize, step: usize): void {
  const outer = i16x8.add(a, c);
  if (size == 2) {
    v128.store(to, i16x8.shl(a, 1));
    v128.store(to + step, i16x8.add(outer, b));
    v128.store(to + 2 * step, i16x8.sub(outer, b));
    v128.store(to + 3 * step, i16x8.shl(c, 1));
    return;
  }
  const four = i16x8.shl(outer, 2);
  const middle = i16x8.shl(b, 2);
  const far = i16x8.add(a, i16x8.shl(c, 2));
  const twice = i16x8.shl(b, 1);
  v128.store(to, i16x8.mul(a, i16x8.splat(6)));
  v128.store(to + step, i16x8.neg(i16x8.add(four, middle)));
  v128.store(to + 2 * step, i16x8.sub(middle, four));
  v128.store(to + 3 * step, i16x8.add(far, twice));
  v128.store(to + 4 * step, i16x8.sub(far, twice));
  v128.store(to + 5 * step, i16x8.shl(c, 3));
}
