/** What the GPU kernels of both pooling operators share. */
import type { Pool2dShape } from '../../shaders/pool2d.wgsl.ts';
import type { ProgramTensor, Window2d } from '../program/program.ts';
import { channelWords } from './gpu-dispatch.ts';

export function pool2dShape(
  window: Window2d,
  input: ProgramTensor,
  output: ProgramTensor,
  batch: number,
): Pool2dShape {
  return {
    batch,
    height: input.image[0],
    width: input.image[1],
    outHeight: output.image[0],
    outWidth: output.image[1],
    words: channelWords(output.image[2]),
    channels: output.image[2],
    kernel: window.kernel,
    stride: window.stride,
    pad: [window.pads[0], window.pads[1]],
    dilation: window.dilation,
    zeroPoint: output.zeroPoint,
  };
}

export function pool2dKey(window: Window2d, input: ProgramTensor, batch: number): string {
  const { kernel, stride, pads, dilation } = window;
  return `${kernel.join('x')}s${stride.join('x')}p${pads.join(',')}d${dilation.join('x')} ${batch}x${input.image.join('x')}`;
}
