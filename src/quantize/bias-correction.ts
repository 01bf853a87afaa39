/**
 * Bias correction (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section
 * 4.2): rounding weights shifts the mean of a layer's outputs by (ŵ − w) · E[x]; the bias takes that shift back.
 */
import { slidingWindow, type Pair } from '../graph/geometry.ts';
import type { Graph } from '../graph/graph.ts';
import { conv } from '../graph/operators/conv.ts';
import type { WeightedLayer } from './layers.ts';

/**
 * What to add to each bias.
 *
 * @param rounded the weights after rounding, in the layer's shape
 * @param inputMeans mean of each input channel (feature, for a dense layer) over the calibration images
 */
export function biasCorrection(
  graph: Graph,
  layer: WeightedLayer,
  rounded: Float32Array,
  inputMeans: Float64Array,
): Float64Array {
  const { node, weights } = layer;
  const data = weights.data as Float32Array;
  const [outChannels, groupChannels] = weights.shape;
  const coverage = tapCoverage(graph, layer);
  const taps = coverage.length;
  const groups = conv.is(node) ? conv.number(node, 'group') : 1;
  const outPerGroup = outChannels / groups;
  const correction = new Float64Array(outChannels);
  for (let o = 0, i = 0; o < outChannels; o++) {
    const firstInput = Math.floor(o / outPerGroup) * groupChannels;
    let shift = 0;
    for (let c = 0; c < groupChannels; c++) {
      let difference = 0;
      for (let tap = 0; tap < taps; tap++, i++) difference += coverage[tap] * (rounded[i] - data[i]);
      shift += difference * inputMeans[firstInput + c];
    }
    correction[o] = -shift;
  }
  return correction;
}

/**
 * For each tap of the kernel, the share of the output positions at which it lies on the image rather than on padding: at 2×2 pixels
 * a corner tap of a 3×3 kernel meets the image once in four. All 1 where the image size is not known.
 */
function tapCoverage(graph: Graph, { node, weights, input }: WeightedLayer): Float64Array {
  const [kernelHeight, kernelWidth] = [weights.shape[2] ?? 1, weights.shape[3] ?? 1];
  const coverage = new Float64Array(kernelHeight * kernelWidth).fill(1);
  const [height, width] = graph.values.get(input)?.shape.slice(2) ?? [];
  if (!conv.is(node) || typeof height !== 'number' || typeof width !== 'number') return coverage;
  const window = slidingWindow(node, [height, width], [kernelHeight, kernelWidth]);
  if (typeof window === 'string') return coverage;
  const share = (axis: 0 | 1, size: number, tap: number): number => {
    const outputs = window.outputSize[axis];
    let inside = 0;
    for (let o = 0; o < outputs; o++) {
      const position = o * window.stride[axis] + tap * window.dilation[axis] - window.pads[axis];
      if (position >= 0 && position < size) inside++;
    }
    return inside / outputs;
  };
  const [rows, columns]: Pair = [kernelHeight, kernelWidth];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) coverage[y * columns + x] = share(0, height, y) * share(1, width, x);
  }
  return coverage;
}
