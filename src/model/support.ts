/** Whether Octet can run what `quantize` makes of a float model, before anything is calibrated. */
import { ModelError, type ModelProblem } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { optimize } from '../graph/passes/optimize.ts';
import { builtinOperators } from '../ops/registry.ts';
import { lower } from '../program/lower.ts';
import { checkFloat } from '../quantize/calibrate.ts';
import { findLayers } from '../quantize/layers.ts';
import { quantizeCalibrated } from '../quantize/quantize.ts';
import { ActivationStatistics } from '../quantize/statistics.ts';
import { checkWeights } from '../quantize/weights.ts';

/** What stands in the way: empty where nothing does. Quantizes and lowers `graph` as if every activation were between 0 and 1. */
export function findObstacles(float: Graph): readonly ModelProblem[] {
  try {
    checkFloat(float);
    const graph = optimize(float);
    const layers = findLayers(graph);
    checkWeights(layers.weighted.values());
    const statistics = new ActivationStatistics(1);
    statistics.add(Float32Array.of(0, 1), [1, 1, 2]);
    const calibration = {
      graph,
      layers,
      statistics: new Map([...layers.values.keys()].map((name) => [name, statistics])),
      images: 1,
    };
    lower(quantizeCalibrated(calibration, { corrections: { bias: false } }).graph, builtinOperators);
    return [];
  } catch (error) {
    if (error instanceof ModelError) return error.problems;
    throw error;
  }
}
