/** The table of ONNX operators: every row, and look-ups by type. */
import { constantScalar } from '../attributes.ts';
import type { Graph, Node } from '../graph.ts';
import { abs } from './abs.ts';
import { add } from './add.ts';
import { averagePool } from './average-pool.ts';
import { batchNormalization } from './batch-normalization.ts';
import { cast } from './cast.ts';
import { celu } from './celu.ts';
import { clip } from './clip.ts';
import { concat } from './concat.ts';
import { constantOfShape } from './constant-of-shape.ts';
import { constant } from './constant.ts';
import { conv } from './conv.ts';
import { convTranspose } from './conv-transpose.ts';
import { depthToSpace } from './depth-to-space.ts';
import { dequantizeLinear } from './dequantize-linear.ts';
import { div } from './div.ts';
import { dropout } from './dropout.ts';
import { elu } from './elu.ts';
import { erf } from './erf.ts';
import { exp } from './exp.ts';
import { expand } from './expand.ts';
import { flatten } from './flatten.ts';
import { gather } from './gather.ts';
import { gelu } from './gelu.ts';
import { gemm } from './gemm.ts';
import { globalAveragePool } from './global-average-pool.ts';
import { globalMaxPool } from './global-max-pool.ts';
import { hardSigmoid } from './hard-sigmoid.ts';
import { hardSwish } from './hard-swish.ts';
import { identity } from './identity.ts';
import { leakyRelu } from './leaky-relu.ts';
import { log } from './log.ts';
import { matMul } from './mat-mul.ts';
import { maxPool } from './max-pool.ts';
import { max } from './max.ts';
import { min } from './min.ts';
import { mish } from './mish.ts';
import { mul } from './mul.ts';
import { neg } from './neg.ts';
import { pRelu } from './p-relu.ts';
import { pad } from './pad.ts';
import { pow } from './pow.ts';
import { quantizeLinear } from './quantize-linear.ts';
import { reciprocal } from './reciprocal.ts';
import { reduceL1 } from './reduce-l1.ts';
import { reduceL2 } from './reduce-l2.ts';
import { reduceMax } from './reduce-max.ts';
import { reduceMean } from './reduce-mean.ts';
import { reduceMin } from './reduce-min.ts';
import { reduceSumSquare } from './reduce-sum-square.ts';
import { reduceSum } from './reduce-sum.ts';
import { relu } from './relu.ts';
import { reshape } from './reshape.ts';
import { resize } from './resize.ts';
import { selu } from './selu.ts';
import { shape } from './shape.ts';
import { sigmoid } from './sigmoid.ts';
import { slice } from './slice.ts';
import { softmax } from './softmax.ts';
import { softplus } from './softplus.ts';
import { softsign } from './softsign.ts';
import { spaceToDepth } from './space-to-depth.ts';
import { split } from './split.ts';
import { sqrt } from './sqrt.ts';
import { squeeze } from './squeeze.ts';
import { sub } from './sub.ts';
import { swish } from './swish.ts';
import { tanh } from './tanh.ts';
import { thresholdedRelu } from './thresholded-relu.ts';
import { tile } from './tile.ts';
import { transpose } from './transpose.ts';
import { unsqueeze } from './unsqueeze.ts';
import type { OnnxOperator, Role } from './operator.ts';

const rows = [
  abs,
  add,
  averagePool,
  batchNormalization,
  cast,
  celu,
  clip,
  concat,
  constantOfShape,
  constant,
  conv,
  convTranspose,
  depthToSpace,
  dequantizeLinear,
  div,
  dropout,
  elu,
  erf,
  exp,
  expand,
  flatten,
  gather,
  gelu,
  gemm,
  globalAveragePool,
  globalMaxPool,
  hardSigmoid,
  hardSwish,
  identity,
  leakyRelu,
  log,
  matMul,
  maxPool,
  max,
  min,
  mish,
  mul,
  neg,
  pRelu,
  pad,
  pow,
  quantizeLinear,
  reciprocal,
  reduceL1,
  reduceL2,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceSumSquare,
  reduceSum,
  relu,
  reshape,
  resize,
  selu,
  shape,
  sigmoid,
  slice,
  softmax,
  softplus,
  softsign,
  spaceToDepth,
  split,
  sqrt,
  squeeze,
  sub,
  swish,
  tanh,
  thresholdedRelu,
  tile,
  transpose,
  unsqueeze,
] as readonly OnnxOperator[];

const byType: ReadonlyMap<string, OnnxOperator> = new Map(rows.map((row) => [row.op, row]));

/** The rows that come with Octet, by ONNX type. */
export const onnxOperators: ReadonlyMap<string, OnnxOperator> = new Map(
  [...byType].sort(([a], [b]) => (a < b ? -1 : 1)),
);

/** The row of a node's operator: the graph's own (`Graph.operators`) or Octet's; undefined where there is none. */
export function operatorOf(
  graph: Pick<Graph, 'operators'>,
  node: Pick<Node, 'op'>,
): OnnxOperator | undefined {
  return graph.operators?.get(node.op) ?? byType.get(node.op);
}

/** What `node` does to quantized values; undefined where its operator has no row. */
export function roleOf(graph: Pick<Graph, 'operators' | 'constants'>, node: Node): Role | undefined {
  const row = operatorOf(graph, node);
  return row?.computes?.(node, (name) => constantScalar(graph, name)) ? 'computes' : row?.role;
}
