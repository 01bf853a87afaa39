/** A convolution as the WebAssembly kernels see it (src/wasm/assembly/{pad,conv2d}.ts). */
import { type Conv2dOperation, paddedChannels, type ProgramTensor } from '../../program/program.ts';
import { windowOutput } from '../window.ts';

/** Output channels of one panel of weights. */
export const PANEL = 8;

/** A convolution as a GEMM over the padded image. */
export interface ConvolutionShape {
  readonly height: number;
  readonly width: number;
  readonly frameHeight: number;
  readonly frameWidth: number;
  /** Stored channels of the input. */
  readonly channels: number;
  readonly outChannels: number;
  readonly panels: number;
  /** Elements of each run of a window that is contiguous in the padded image, a multiple of 4. */
  readonly segmentLength: number;
  /** Offset of each segment from the window's first element, in elements. */
  readonly segmentOffsets: readonly number[];
  /** First input channel that each panel reads. */
  readonly panelChannels: readonly number[];
  /** Whether a segment is a row of the kernel (all its columns), or one tap. */
  readonly rowSegments: boolean;
}

export function convolutionShape(operation: Conv2dOperation, input: ProgramTensor): ConvolutionShape {
  const { kernel, pads, dilation, groups } = operation;
  const [height, width] = windowOutput(operation, input.image);
  const channels = paddedChannels(input.image[2]);
  const frameHeight = input.image[0] + pads[0] + pads[2];
  const frameWidth = input.image[1] + pads[1] + pads[3];
  const outChannels = operation.bias.length;
  const panels = Math.ceil(outChannels / PANEL);
  const rowSegments = groups === 1 && dilation[1] === 1;
  const segmentOffsets: number[] = [];
  for (let ky = 0; ky < kernel[0]; ky++) {
    for (let kx = 0; kx < (rowSegments ? 1 : kernel[1]); kx++) {
      segmentOffsets.push((ky * dilation[0] * frameWidth + kx * dilation[1]) * channels);
    }
  }
  let segmentLength = rowSegments ? kernel[1] * channels : channels;
  let panelChannels = new Array<number>(panels).fill(0);
  if (groups > 1) {
    // A panel reads the channels of the groups that its outputs belong to; a whole number of quads, inside the image.
    const groupIn = input.image[2] / groups;
    const groupOut = outChannels / groups;
    const ranges = panelChannels.map((_, panel) => {
      const lastOut = Math.min((panel + 1) * PANEL, outChannels) - 1;
      return [
        Math.floor((panel * PANEL) / groupOut) * groupIn,
        (Math.floor(lastOut / groupOut) + 1) * groupIn,
      ] as const;
    });
    segmentLength = paddedChannels(ranges.reduce((most, [first, end]) => Math.max(most, end - first), 0));
    panelChannels = ranges.map(([first]) => Math.min(first, channels - segmentLength));
  }
  return {
    height,
    width,
    frameHeight,
    frameWidth,
    channels,
    outChannels,
    panels,
    segmentLength,
    segmentOffsets,
    panelChannels,
    rowSegments,
  };
}
