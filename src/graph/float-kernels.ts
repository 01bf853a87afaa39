/**
 * Sums of products in float32, the arithmetic of convolutions and matrix products on the host: every product and every sum is rounded
 * once, in the order given here. What is faster must give the same bytes.
 */
import type { Pair } from './geometry.ts';

/** `y[i][j] = Σ_p a[i][p] · b[p][j]`, from 0 and the first p to the last. */
export interface FloatProduct {
  /** [m][k], row-major. */
  readonly a: Float32Array;
  /** Element (p, j) is at `p · bStrides[0] + j · bStrides[1]`. */
  readonly b: Float32Array;
  readonly bStrides: readonly [row: number, column: number];
  /** [m][n], row-major. */
  readonly y: Float32Array;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/**
 * One image's convolution, [C, H, W] to [O, H, W]: the bias, then products by input channel, row and column of the kernel. Padding
 * holds zeros that are multiplied like other values.
 */
export interface FloatConvolution {
  readonly x: Float32Array;
  readonly size: Pair;
  readonly outChannels: number;
  readonly groups: number;
  /** Input channels of a group. */
  readonly inChannels: number;
  /** [outChannels][inChannels][kH][kW] */
  readonly weights: Float32Array;
  /** [outChannels], zeros where there is none. */
  readonly bias: Float32Array;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  /** Top and left. */
  readonly pads: Pair;
  readonly y: Float32Array;
  readonly outputSize: Pair;
}

export interface FloatKernels {
  multiply(call: FloatProduct): void;
  convolve(call: FloatConvolution): void;
}

/** Plain loops: what the others are held to. */
export const plainFloatKernels: FloatKernels = {
  multiply({ a, b, bStrides: [bRow, bColumn], y, m, n, k }) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) {
          sum = Math.fround(sum + Math.fround(a[i * k + p] * b[p * bRow + j * bColumn]));
        }
        y[i * n + j] = sum;
      }
    }
  },

  convolve(call) {
    const { x, size, outChannels, inChannels, weights, kernel, stride, dilation, pads, y, outputSize } = call;
    const [height, width] = size;
    const perGroup = outChannels / call.groups;
    let to = 0;
    for (let o = 0; o < outChannels; o++) {
      const firstChannel = Math.floor(o / perGroup) * inChannels;
      for (let outRow = 0; outRow < outputSize[0]; outRow++) {
        for (let outColumn = 0; outColumn < outputSize[1]; outColumn++) {
          let sum = call.bias[o];
          let at = o * inChannels * kernel[0] * kernel[1];
          for (let c = 0; c < inChannels; c++) {
            for (let ky = 0; ky < kernel[0]; ky++) {
              const row = outRow * stride[0] - pads[0] + ky * dilation[0];
              const isRow = row >= 0 && row < height;
              const from = ((firstChannel + c) * height + row) * width;
              for (let kx = 0; kx < kernel[1]; kx++) {
                const column = outColumn * stride[1] - pads[1] + kx * dilation[1];
                const value = isRow && column >= 0 && column < width ? x[from + column] : 0;
                sum = Math.fround(sum + Math.fround(value * weights[at++]));
              }
            }
          }
          y[to++] = sum;
        }
      }
    }
  },
};
