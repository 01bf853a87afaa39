/** Whether Octet can run what `quantize` makes of a float model, before anything is calibrated. */
import { check } from '../arguments.ts';
import { ModelError, type ModelProblem } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { optimize } from '../graph/passes/optimize.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import { moreOperators } from '../ops/more-operators.ts';
import { createOperatorRegistry } from '../ops/registry.ts';
import { lower } from '../program/lower.ts';
import { checkFloat } from '../quantize/calibrate.ts';
import { findLayers } from '../quantize/layers.ts';
import { quantizeCalibrated } from '../quantize/quantize.ts';
import type { RealRange } from '../quantize/scheme.ts';
import { ActivationStatistics } from '../quantize/statistics.ts';
import { checkWeights } from '../quantize/weights.ts';
import { hostNodes, type HostNode } from './host-nodes.ts';

export interface Obstacles {
  /** Why it cannot run: empty where it can. */
  readonly problems: readonly ModelProblem[];
  /** What will run on the CPU, in real numbers. */
  readonly hostNodes: readonly HostNode[];
}

/**
 * What stands in the way of running a float graph in integers, found without pictures: quantizes and lowers it as if every activation
 * were between 0 and 1.
 * @throws {InputError} no graph
 */
export function findObstacles(float: Graph): Obstacles {
  check('findObstacles', { float: graphSchema }, { float });
  try {
    const quantized = assumedQuantization(float);
    const operators = createOperatorRegistry(moreOperators);
    return { problems: [], hostNodes: hostNodes(lower(quantized, operators.operators), operators) };
  } catch (error) {
    if (error instanceof ModelError) return { problems: error.problems, hostNodes: [] };
    throw error;
  }
}

/**
 * A float graph quantized as if every activation were within `range`: what becomes of its nodes is seen without pictures.
 * @throws {ModelError} it cannot be quantized
 */
export function assumedQuantization(float: Graph, range: RealRange = { min: 0, max: 1 }): Graph {
  checkFloat(float);
  const graph = optimize(float);
  const layers = findLayers(graph);
  checkWeights(layers.weighted.values());
  const statistics = new ActivationStatistics(1);
  statistics.add(Float32Array.of(range.min, range.max), [1, 1, 2]);
  const calibration = {
    graph,
    layers,
    statistics: new Map([...layers.values.keys()].map((name) => [name, statistics])),
    images: 1,
  };
  return quantizeCalibrated(calibration, { corrections: { bias: false } }).graph;
}
