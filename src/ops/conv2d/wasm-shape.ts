/** How convolutions lie in memory for the WebAssembly kernels (src/wasm/assembly/{pad,conv2d,requantize}.ts). */
import { type Conv2dOperation, paddedChannels, type ProgramTensor } from '../../program/program.ts';
import { weightMagnitudes, weightSums } from '../../program/weights.ts';
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
  const [height, width] = windowOutput(operation, input.shape);
  const channels = paddedChannels(input.shape[2]);
  const frameHeight = input.shape[0] + pads[0] + pads[2];
  const frameWidth = input.shape[1] + pads[1] + pads[3];
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
    const groupIn = input.shape[2] / groups;
    const groupOut = outChannels / groups;
    const ranges = panelChannels.map((_, panel) => {
      const lastOut = Math.min((panel + 1) * PANEL, outChannels) - 1;
      return [
        Math.floor((panel * PANEL) / groupOut) * groupIn,
        (Math.floor(lastOut / groupOut) + 1) * groupIn,
      ] as const;
    });
    segmentLength = paddedChannels(Math.max(...ranges.map(([first, end]) => end - first)));
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

/**
 * Weights less their zero point, as [panel][segment][k / depth][8 channels][depth]: `depth` products share a lane of
 * the dot instruction (2 of int16, 4 of int8). Lanes without a weight are 0.
 */
export function packWeights<T extends Int8Array | Int16Array>(
  operation: Conv2dOperation,
  shape: ConvolutionShape,
  depth: number,
  packed: T,
): T {
  const { kernel, groups } = operation;
  const { taps, inChannels: groupIn, zeroPoint: weightZeroPoint } = operation.weights;
  const weights = operation.weights.rows();
  const groupOut = shape.outChannels / groups;
  const segments = shape.segmentOffsets.length;
  let from = 0;
  for (let o = 0; o < shape.outChannels; o++) {
    const panel = Math.floor(o / PANEL);
    const firstChannel = Math.floor(o / groupOut) * groupIn - shape.panelChannels[panel];
    const zeroPoint = weightZeroPoint?.[o] ?? 0;
    for (let tap = 0; tap < taps; tap++) {
      const segment = shape.rowSegments ? Math.floor(tap / kernel[1]) : tap;
      const firstK = firstChannel + (shape.rowSegments ? (tap % kernel[1]) * shape.channels : 0);
      const first = (panel * segments + segment) * shape.segmentLength + firstK;
      const place = (o % PANEL) * depth;
      for (let k = first; k < first + groupIn; k++, from++) {
        const lane = k & (depth - 1);
        packed[(k - lane) * PANEL + place + lane] = weights[from] - zeroPoint;
      }
    }
  }
  return packed;
}

/** Elements that `packWeights` fills. */
export function packedWeightCount(shape: ConvolutionShape): number {
  return shape.panels * PANEL * shape.segmentOffsets.length * shape.segmentLength;
}

/** Words of the record of one quad of output channels (src/wasm/assembly/requantize.ts). */
const RECORD_WORDS = 32;

/**
 * The epilogue's records, one a quad of output channels, whole panels.
 *
 * @param offset what the kernel's input is less by: its sums lack `offset · Σw`, which goes into the bias. Modulo 2³², as all sums
 */
export function packEpilogue(
  operation: Conv2dOperation,
  output: ProgramTensor,
  shape: ConvolutionShape,
  offset = 0,
): Int32Array {
  const { requantize, residual } = operation;
  const packed = new Int32Array(shape.panels * 2 * RECORD_WORDS);
  const bounds = requantize ? accumulatorBounds(operation) : [];
  for (let quad = 0; quad < shape.panels * 2; quad++) {
    const record = packed.subarray(quad * RECORD_WORDS, (quad + 1) * RECORD_WORDS);
    const lanes = [0, 1, 2, 3].filter((lane) => quad * 4 + lane < shape.outChannels);
    for (const lane of lanes) {
      const o = quad * 4 + lane;
      record[lane] = operation.bias[o] + (offset === 0 ? 0 : offset * weightSums(operation.weights)[o]);
    }
    if (!requantize) continue;
    const scales = lanes.map((lane) => ({
      mantissa: requantize.mantissa[quad * 4 + lane],
      shift: requantize.shift[quad * 4 + lane],
      bound: bounds[quad * 4 + lane],
    }));
    const shift = Math.max(1, ...scales.map((scale) => (scale.mantissa > 0 ? scale.shift : 0)));
    // A mantissa of 0 may keep a shift beyond the common one.
    const aligned = scales.map(({ mantissa, shift: own }) =>
      mantissa > 0 ? mantissa * 2 ** (shift - own) : 0,
    );
    const uniform =
      aligned.every((multiplier) => multiplier < 2 ** 31) &&
      scales.every(({ mantissa, shift: own, bound }) => bound * mantissa * 2 ** -own < 2 ** 30);
    for (let lane = 0; lane < 4; lane++) {
      const real = lane < lanes.length;
      if (real) {
        record[4 + lane] = uniform ? aligned[lane] : scales[lane].mantissa;
        record[8 + lane] = uniform ? shift : scales[lane].shift;
      } else if (uniform) {
        record[8 + lane] = shift;
      }
      record[12 + lane] = real ? requantize.lo : output.zeroPoint;
      record[16 + lane] = real ? requantize.hi : output.zeroPoint;
      record[20 + lane] = real && residual ? residual.lo : output.zeroPoint;
      record[24 + lane] = real && residual ? residual.hi : output.zeroPoint;
    }
    record[28] = uniform ? 1 : 0;
  }
  return packed;
}

/** The largest |acc| of each output channel: `Σ|w| · 128 + |bias|`. */
function accumulatorBounds(operation: Conv2dOperation): number[] {
  return Array.from(weightMagnitudes(operation.weights), (sum, o) => sum * 128 + Math.abs(operation.bias[o]));
}
