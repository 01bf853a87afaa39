import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/** What every convolution kernel is told of the layer. Channels are counted in words of four. */
export interface Conv2dShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  /** Words of an input pixel, all groups. */
  readonly inWords: number;
  /** Size of the convolution's result, before a fused pool. */
  readonly convHeight: number;
  readonly convWidth: number;
  /** Words of an output pixel. */
  readonly outWords: number;
  /** Channels of an output pixel, padding excluded. */
  readonly outChannels: number;
  readonly groups: number;
  /** Channels that one output channel reads. */
  readonly groupInChannels: number;
  readonly kernel: readonly [height: number, width: number];
  readonly stride: readonly [height: number, width: number];
  /** Top and left; what lies beyond the bottom and right edges is padding too. */
  readonly pad: readonly [top: number, left: number];
  readonly dilation: readonly [height: number, width: number];
  /** 2×2 max pool of the accumulators before the epilogue. */
  readonly pool: boolean;
  readonly residual: boolean;
  /** The accumulators are the output. */
  readonly int32: boolean;
  readonly weightZeroPoint: boolean;
}

/** Output pixels of one image. */
export function outputSize(shape: Conv2dShape): readonly [height: number, width: number] {
  return shape.pool ? [shape.convHeight >> 1, shape.convWidth >> 1] : [shape.convHeight, shape.convWidth];
}

/** K of the implicit GEMM in words of four input channels. */
export function kWordsOf({ kernel, groupInChannels }: Conv2dShape): number {
  return kernel[0] * kernel[1] * Math.ceil(groupInChannels / 4);
}

/** Constants of the layer. `M` counts the convolution's pixels that are used, batch folded in; a pooled pixel has four. */
export const conv2dShapeWgsl = (shape: Conv2dShape) => {
  const [outHeight, outWidth] = outputSize(shape);
  return wgsl`
const BATCH = ${shape.batch}u;
const HEIGHT = ${shape.height}u;
const WIDTH = ${shape.width}u;
const IN_WORDS = ${shape.inWords}u;
const OUT_HEIGHT = ${outHeight}u;
const OUT_WIDTH = ${outWidth}u;
const OUT_WORDS = ${shape.outWords}u;
const OUT_PIXELS = BATCH * OUT_HEIGHT * OUT_WIDTH;
const KERNEL_H = ${shape.kernel[0]}u;
const KERNEL_W = ${shape.kernel[1]}u;
const GROUP_IN = ${shape.groupInChannels}u;
const GROUP_IN_WORDS = ${Math.ceil(shape.groupInChannels / 4)}u;
const K = KERNEL_H * KERNEL_W * GROUP_IN;
const K_WORDS = ${kWordsOf(shape)}u;
const STRIDE_H = ${shape.stride[0]};
const STRIDE_W = ${shape.stride[1]};
const PAD_TOP = ${shape.pad[0]};
const PAD_LEFT = ${shape.pad[1]};
const DILATION_H = ${shape.dilation[0]};
const DILATION_W = ${shape.dilation[1]};
`;
};

/** Mask of the bytes of a last word that are channels, not padding. */
export function lastLanes(channels: number): number {
  return 0xffffffff >>> (8 * ((4 - (channels % 4)) % 4));
}
