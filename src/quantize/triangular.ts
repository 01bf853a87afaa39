/**
 * Cholesky factors and triangular systems of a few thousand unknowns, in blocks: what lies off the diagonal blocks is left to a
 * `MatrixProduct`, what lies on them is done here in float64.
 */
import type { MatrixProduct } from './matrix-product.ts';

/** Rows and columns of a block. */
const BLOCK = 128;

/** Columns `from` to `to` of rows `first` to `last` of a matrix with `width` columns, without gaps. */
export function submatrix(
  matrix: Float32Array,
  width: number,
  [first, last]: readonly [number, number],
  [from, to]: readonly [number, number],
): Float32Array {
  const result = new Float32Array((last - first) * (to - from));
  for (let row = first, at = 0; row < last; row++, at += to - from) {
    result.set(matrix.subarray(row * width + from, row * width + to), at);
  }
  return result;
}

/**
 * Replaces the lower triangle of a symmetric positive definite matrix [n, n] by its Cholesky factor L, `A = L Lᵀ`. What lies above the
 * diagonal is left as it was.
 *
 * @returns false where the matrix is not positive definite; its contents are lost then
 */
export async function factorize(matrix: Float32Array, n: number, product: MatrixProduct): Promise<boolean> {
  for (let from = 0; from < n; from += BLOCK) {
    const to = Math.min(from + BLOCK, n);
    if (from > 0) {
      const left = submatrix(matrix, n, [from, n], [0, from]);
      const done = left.subarray(0, (to - from) * from);
      const sums = await product.multiplyTransposed(left, done, n - from, from, to - from);
      for (let row = from, i = 0; row < n; row++) {
        for (let column = from; column < to; column++, i++) matrix[row * n + column] -= sums[i];
      }
    }
    for (let row = from; row < n; row++) {
      const start = row * n;
      for (let column = from; column <= Math.min(row, to - 1); column++) {
        let sum = matrix[start + column];
        for (let k = from; k < column; k++) sum -= matrix[start + k] * matrix[column * n + k];
        if (row > column) matrix[start + column] = sum / matrix[column * n + column];
        else if (sum > 0) matrix[start + column] = Math.sqrt(sum);
        else return false;
      }
    }
  }
  return true;
}

/** Solves `Z Lᵀ = B` for Z: `right` is B [m, n] and becomes Z; `factor` holds L in its lower triangle. */
export async function solveForward(
  right: Float32Array,
  factor: Float32Array,
  m: number,
  n: number,
  product: MatrixProduct,
): Promise<void> {
  for (let from = 0; from < n; from += BLOCK) {
    const to = Math.min(from + BLOCK, n);
    if (from > 0) {
      const solved = submatrix(right, n, [0, m], [0, from]);
      const left = submatrix(factor, n, [from, to], [0, from]);
      const sums = await product.multiplyTransposed(solved, left, m, from, to - from);
      for (let row = 0, i = 0; row < m; row++) {
        for (let column = from; column < to; column++, i++) right[row * n + column] -= sums[i];
      }
    }
    for (let row = 0; row < m; row++) {
      const z = right.subarray(row * n, (row + 1) * n);
      for (let column = from; column < to; column++) {
        let sum = z[column];
        for (let k = from; k < column; k++) sum -= z[k] * factor[column * n + k];
        z[column] = sum / factor[column * n + column];
      }
    }
  }
}

/**
 * Solves `V L = Z` for V from the last column to the first. Each value found goes through `replace`, and the columns before it make up for
 * what that changes: with `replace` a rounding, V is the greedy solution of `min ‖V L − Z‖²` over what it returns.
 *
 * @param left Z [m, n], becomes V
 * @param factor holds L in its lower triangle
 */
export async function solveBackward(
  left: Float32Array,
  factor: Float32Array,
  m: number,
  n: number,
  product: MatrixProduct,
  replace: (value: number, row: number, column: number) => number,
): Promise<void> {
  for (let to = n; to > 0; to -= BLOCK) {
    const from = Math.max(to - BLOCK, 0);
    if (to < n) {
      const solved = submatrix(left, n, [0, m], [to, n]);
      const below = submatrix(factor, n, [to, n], [from, to]);
      const sums = await product.multiply(solved, below, m, n - to, to - from);
      for (let row = 0, i = 0; row < m; row++) {
        for (let column = from; column < to; column++, i++) left[row * n + column] -= sums[i];
      }
    }
    // L of this block by columns: they are read from top to bottom.
    const width = to - from;
    const columns = new Float64Array(width * width);
    for (let k = 0; k < width; k++) {
      for (let column = 0; column <= k; column++)
        columns[column * width + k] = factor[(from + k) * n + from + column];
    }
    for (let row = 0; row < m; row++) {
      const v = left.subarray(row * n + from, row * n + to);
      for (let column = width - 1; column >= 0; column--) {
        const at = column * width;
        let sum = v[column];
        for (let k = column + 1; k < width; k++) sum -= v[k] * columns[at + k];
        v[column] = replace(sum / columns[at + column], row, from + column);
      }
    }
  }
}
