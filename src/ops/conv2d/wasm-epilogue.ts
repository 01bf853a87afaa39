/** The records of a convolution's epilogue (src/wasm/assembly/requantize.ts). */
import type { Conv2dOperation, ProgramTensor } from '../../program/program.ts';
import { weightMagnitudes, weightSums } from '../../program/weights.ts';
import { RECORD_OFFSETS as AT, RECORD_WORDS } from '../wasm-parameters.ts';
import type { ConvolutionShape } from './wasm-shape.ts';

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
      record[AT.bias + lane] =
        operation.bias[o] + (offset === 0 ? 0 : offset * weightSums(operation.weights)[o]);
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
        record[AT.multiplier + lane] = uniform ? aligned[lane] : scales[lane].mantissa;
        record[AT.shift + lane] = uniform ? shift : scales[lane].shift;
      } else if (uniform) {
        record[AT.shift + lane] = shift;
      }
      record[AT.lo + lane] = real ? requantize.lo : output.zeroPoint;
      record[AT.hi + lane] = real ? requantize.hi : output.zeroPoint;
      record[AT.residualLo + lane] = real && residual ? residual.lo : output.zeroPoint;
      record[AT.residualHi + lane] = real && residual ? residual.hi : output.zeroPoint;
    }
    record[AT.uniform] = uniform ? 1 : 0;
  }
  return packed;
}

/** The largest |acc| of each output channel: `Σ|w| · 128 + |bias|`. */
function accumulatorBounds(operation: Conv2dOperation): number[] {
  return Array.from(weightMagnitudes(operation.weights), (sum, o) => sum * 128 + Math.abs(operation.bias[o]));
}
