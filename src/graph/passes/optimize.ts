import { inferShapes } from '../infer-shapes.ts';
import type { Graph } from '../graph.ts';
import { denseToConv } from './dense-to-conv.ts';
import { denseToGemm } from './dense-to-gemm.ts';
import { batchNormToConv, foldAffine } from './fold-affine.ts';
import { foldConstants } from './fold-constants.ts';
import { foldPad } from './fold-pad.ts';
import { removeIdentities } from './remove-identities.ts';
import { transposedToConv } from './transposed-to-conv.ts';
import { removeUnused } from './remove-unused.ts';

/** The passes in order. Each leaves a graph that computes the same, up to float rounding, with outputs of the same names. */
const passes: readonly ((graph: Graph) => Graph)[] = [
  (graph) => foldConstants(graph),
  removeIdentities,
  foldPad,
  transposedToConv,
  denseToGemm,
  denseToConv,
  foldAffine,
  batchNormToConv,
];

/**
 * Prepares a float graph for quantization: constants folded, nodes without effect dropped, dense layers as Gemm or 1×1 convolutions, batch
 * normalization and other per-channel arithmetic folded into weights.
 * @throws {ModelError} where folded weights are not finite.
 */
export function optimize(graph: Graph): Graph {
  return passes.reduce((current, pass) => removeUnused(inferShapes(pass(current))), inferShapes(graph));
}
