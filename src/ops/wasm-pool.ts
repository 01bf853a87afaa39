/** The parameter block `Pool` of src/wasm/assembly/pool.ts. */
import { paddedChannels, type ProgramTensor, type Window2d } from '../program/program.ts';
import type { BlockFields } from './wasm-parameters.ts';

export function poolBlock(
  { kernel, stride, pads, dilation }: Window2d,
  input: ProgramTensor,
  output: ProgramTensor,
): BlockFields<'Pool'> {
  const [height, width, channels] = input.image;
  return {
    height,
    width,
    channels: paddedChannels(channels),
    lastLanes: ((channels - 1) & 3) + 1,
    outHeight: output.image[0],
    outWidth: output.image[1],
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    strideHeight: stride[0],
    strideWidth: stride[1],
    top: pads[0],
    left: pads[1],
    dilationHeight: dilation[0],
    dilationWidth: dilation[1],
    inputZeroPoint: input.zeroPoint,
    zeroPoint: output.zeroPoint,
    lo: -128,
    hi: 127,
    shift: 0,
    countedHeight: 0,
    countedWidth: 0,
  };
}
