/**
 * Ranges of activations by what they do to the layer that reads them: at few bits its output says better than the values themselves what may be
 * clipped.
 */
import type { WeightedLayer } from './layers.ts';
import type { MatrixProduct } from './matrix-product.ts';
import type { PatchReader, StoredValue } from './patches.ts';
import { centre, spreadPositions } from './patches.ts';
import { chooseParameters, quantizeValue, type RealRange, type Scheme } from './scheme.ts';

/** Positions that a range is judged by. */
const POSITIONS = 512;
/** What both bounds are multiplied with, then each alone. */
const JOINT_STEPS = [0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.5];
const SINGLE_STEPS = [0.7, 0.85, 1.15, 1.3];

/** A layer and its inputs, not yet quantized: in the float network, and behind the quantized layers before it. */
export interface Consumer {
  readonly layer: WeightedLayer;
  readonly reader: PatchReader;
  readonly float: StoredValue;
  readonly raw: StoredValue;
}

/**
 * The range near `start` with which the layer's outputs differ least from those of the float network, their mean aside: biases take that back.
 */
export async function rangeByOutput(
  { layer, reader, float, raw }: Consumer,
  start: RealRange,
  { bits, scheme }: { readonly bits: number; readonly scheme: Scheme },
  product: MatrixProduct,
): Promise<RealRange> {
  const positions = spreadPositions(raw.shape[0] * reader.positions, POSITIONS);
  const count = positions.length;
  const { groups, features } = reader;
  const rows = layer.weights.shape[0] / groups;
  const weights = layer.weights.data as Float32Array;
  const patches = Array.from({ length: groups }, (_, group) => ({
    weights: weights.subarray(group * rows * features, (group + 1) * rows * features),
    expected: reader.read(float, group, positions),
    inputs: reader.read(raw, group, positions),
  }));
  const errorOf = async (range: RealRange): Promise<number> => {
    const parameters = chooseParameters(range, bits, scheme);
    const { scale, zeroPoint } = parameters;
    let sum = 0;
    for (const group of patches) {
      const errors = group.inputs.map(
        (x, i) => scale * (quantizeValue(x, parameters) - zeroPoint) - group.expected[i],
      );
      centre(errors, features);
      const outputs = await product.multiply(group.weights, errors, rows, features, count);
      for (const value of outputs) sum += value * value;
    }
    return sum;
  };
  let best = start;
  let least = await errorOf(start);
  const consider = async (range: RealRange): Promise<void> => {
    const error = await errorOf(range);
    if (error >= least) return;
    least = error;
    best = range;
  };
  for (const step of JOINT_STEPS) await consider({ min: start.min * step, max: start.max * step });
  const { min, max } = best;
  if (scheme === 'affine' && min < 0 && max > 0) {
    for (const step of SINGLE_STEPS) await consider({ min: min * step, max: best.max });
    for (const step of SINGLE_STEPS) await consider({ min: best.min, max: max * step });
  }
  return best;
}
