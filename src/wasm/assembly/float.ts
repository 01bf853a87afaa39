/**
 * Sums of products in float32 for host stages (src/graph/float-kernels.ts): every product and every sum is rounded once, in the order of k,
 * so that each result has the bytes of the plain loops. Eight results of a row lie side by side in two vectors; no instruction adds
 * across lanes, and none is relaxed.
 *
 * panel  f32 [k][8]: eight columns of the right operand, packed so that they are read in order
 */

const COLUMNS = 8;
const PANEL_ROW: usize = COLUMNS << 2;

/** y[i][j] = Σ_p a[i][p] · b[p][j]; `bRow` and `bColumn` are strides in elements. */
export function multiply(
  a: usize, b: usize, bRow: i32, bColumn: i32, y: usize, m: i32, n: i32, k: i32, panel: usize,
): void {
  const row = <usize>bRow << 2;
  const column = <usize>bColumn << 2;
  for (let j = 0; j < n; j += COLUMNS) {
    const columns = min(COLUMNS, n - j);
    const first = b + <usize>j * column;
    for (let p = 0; p < k; p++) {
      const from = first + <usize>p * row;
      const to = panel + <usize>p * PANEL_ROW;
      if (columns == COLUMNS && column == 4) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
      } else {
        for (let q = 0; q < COLUMNS; q++) {
          const value = q < columns ? load<f32>(from + <usize>q * column) : 0;
          store<f32>(to + (<usize>q << 2), value);
        }
      }
    }
    productRows(a, panel, 0, y + (<usize>j << 2), m, k, <usize>n << 2, columns);
  }
}

/** One group of one image. `frame` is its input with all padding in place: f32 [inChannels][frameHeight][frameWidth]. */
export function convolve(
  frame: usize, weights: usize, bias: usize, y: usize, panel: usize,
  inChannels: i32, frameHeight: i32, frameWidth: i32, outChannels: i32, outHeight: i32, outWidth: i32,
  kernelHeight: i32, kernelWidth: i32, strideHeight: i32, strideWidth: i32, dilationHeight: i32, dilationWidth: i32,
): void {
  const pixels = outHeight * outWidth;
  const k = inChannels * kernelHeight * kernelWidth;
  for (let pixel = 0; pixel < pixels; pixel += COLUMNS) {
    const columns = min(COLUMNS, pixels - pixel);
    const last = pixel + columns - 1;
    const step = strideHeight * frameWidth;
    const o0 = offset(pixel, outWidth, step, strideWidth);
    const o1 = offset(min(pixel + 1, last), outWidth, step, strideWidth);
    const o2 = offset(min(pixel + 2, last), outWidth, step, strideWidth);
    const o3 = offset(min(pixel + 3, last), outWidth, step, strideWidth);
    const o4 = offset(min(pixel + 4, last), outWidth, step, strideWidth);
    const o5 = offset(min(pixel + 5, last), outWidth, step, strideWidth);
    const o6 = offset(min(pixel + 6, last), outWidth, step, strideWidth);
    const o7 = offset(min(pixel + 7, last), outWidth, step, strideWidth);
    const isRun = o7 - o0 == PANEL_ROW - 4;
    let to = panel;
    for (let c = 0; c < inChannels; c++) {
      for (let ky = 0; ky < kernelHeight; ky++) {
        let from = frame + (<usize>((c * frameHeight + ky * dilationHeight) * frameWidth) << 2);
        for (let kx = 0; kx < kernelWidth; kx++) {
          if (isRun) {
            v128.store(to, v128.load(from + o0));
            v128.store(to, v128.load(from + o0, 16), 16);
          } else {
            store<f32>(to, load<f32>(from + o0));
            store<f32>(to, load<f32>(from + o1), 4);
            store<f32>(to, load<f32>(from + o2), 8);
            store<f32>(to, load<f32>(from + o3), 12);
            store<f32>(to, load<f32>(from + o4), 16);
            store<f32>(to, load<f32>(from + o5), 20);
            store<f32>(to, load<f32>(from + o6), 24);
            store<f32>(to, load<f32>(from + o7), 28);
          }
          to += PANEL_ROW;
          from += <usize>dilationWidth << 2;
        }
      }
    }
    productRows(weights, panel, bias, y + (<usize>pixel << 2), outChannels, k, <usize>pixels << 2, columns);
  }
}

/** Bytes from the frame's first element to that of an output pixel's first tap. */
// @ts-ignore: decorator
@inline
function offset(pixel: i32, outWidth: i32, step: i32, strideWidth: i32): usize {
  const row = pixel / outWidth;
  return <usize>(row * step + (pixel - row * outWidth) * strideWidth) << 2;
}

/** Up to eight columns of y, for all rows of a: four rows share what is loaded of the panel. `bias` is 0 where sums begin at 0. */
function productRows(
  a: usize, panel: usize, bias: usize, y: usize, m: i32, k: i32, yRow: usize, columns: i32,
): void {
  const aRow = <usize>k << 2;
  const end = panel + <usize>k * PANEL_ROW;
  let i = 0;
  for (; i + 4 <= m; i += 4) {
    let a0 = initial(bias, i), b0 = initial(bias, i + 1), c0 = initial(bias, i + 2), d0 = initial(bias, i + 3);
    let a1 = a0, b1 = b0, c1 = c0, d1 = d0;
    let wa = a + <usize>i * aRow;
    let wb = wa + aRow;
    let wc = wb + aRow;
    let wd = wc + aRow;
    for (let at = panel; at < end; at += PANEL_ROW) {
      const x0 = v128.load(at);
      const x1 = v128.load(at, 16);
      let w = v128.load32_splat(wa);
      a0 = f32x4.add(a0, f32x4.mul(x0, w));
      a1 = f32x4.add(a1, f32x4.mul(x1, w));
      w = v128.load32_splat(wb);
      b0 = f32x4.add(b0, f32x4.mul(x0, w));
      b1 = f32x4.add(b1, f32x4.mul(x1, w));
      w = v128.load32_splat(wc);
      c0 = f32x4.add(c0, f32x4.mul(x0, w));
      c1 = f32x4.add(c1, f32x4.mul(x1, w));
      w = v128.load32_splat(wd);
      d0 = f32x4.add(d0, f32x4.mul(x0, w));
      d1 = f32x4.add(d1, f32x4.mul(x1, w));
      wa += 4;
      wb += 4;
      wc += 4;
      wd += 4;
    }
    let to = y + <usize>i * yRow;
    storeColumns(to, a0, a1, columns);
    storeColumns((to += yRow), b0, b1, columns);
    storeColumns((to += yRow), c0, c1, columns);
    storeColumns(to + yRow, d0, d1, columns);
  }
  for (; i < m; i++) {
    let s0 = initial(bias, i);
    let s1 = s0;
    let from = a + <usize>i * aRow;
    for (let at = panel; at < end; at += PANEL_ROW) {
      const w = v128.load32_splat(from);
      s0 = f32x4.add(s0, f32x4.mul(v128.load(at), w));
      s1 = f32x4.add(s1, f32x4.mul(v128.load(at, 16), w));
      from += 4;
    }
    storeColumns(y + <usize>i * yRow, s0, s1, columns);
  }
}

// @ts-ignore: decorator
@inline
function initial(bias: usize, row: i32): v128 {
  return f32x4.splat(bias ? load<f32>(bias + (<usize>row << 2)) : 0);
}

function storeColumns(to: usize, first: v128, second: v128, columns: i32): void {
  if (columns == COLUMNS) {
    v128.store(to, first);
    v128.store(to, second, 16);
    return;
  }
  if (columns > 4) {
    v128.store(to, first);
    to += 16;
    first = second;
    columns -= 4;
  }
  store<f32>(to, f32x4.extract_lane(first, 0));
  if (columns > 1) store<f32>(to, f32x4.extract_lane(first, 1), 4);
  if (columns > 2) store<f32>(to, f32x4.extract_lane(first, 2), 8);
  if (columns > 3) store<f32>(to, f32x4.extract_lane(first, 3), 12);
}
