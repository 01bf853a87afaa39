/**
 * Rows of operators that only host stages compute, and of those that become others on import. They are not in the table that every
 * page loads: who reads a model that has one of them fetches this module.
 */
import { acos } from './acos.ts';
import { acosh } from './acosh.ts';
import { and } from './and.ts';
import { argMax } from './arg-max.ts';
import { argMin } from './arg-min.ts';
import { asin } from './asin.ts';
import { asinh } from './asinh.ts';
import { atan } from './atan.ts';
import { atanh } from './atanh.ts';
import { bitShift } from './bit-shift.ts';
import { bitwiseAnd } from './bitwise-and.ts';
import { bitwiseNot } from './bitwise-not.ts';
import { bitwiseOr } from './bitwise-or.ts';
import { bitwiseXor } from './bitwise-xor.ts';
import { castLike } from './cast-like.ts';
import { ceil } from './ceil.ts';
import { centerCropPad } from './center-crop-pad.ts';
import { col2im } from './col2im.ts';
import { compress } from './compress.ts';
import { cos } from './cos.ts';
import { cosh } from './cosh.ts';
import { cumProd } from './cum-prod.ts';
import { cumSum } from './cum-sum.ts';
import { einsum } from './einsum.ts';
import { equal } from './equal.ts';
import { eyeLike } from './eye-like.ts';
import { floor } from './floor.ts';
import { gatherElements } from './gather-elements.ts';
import { gatherND } from './gather-nd.ts';
import { globalLpPool } from './global-lp-pool.ts';
import { greaterOrEqual } from './greater-or-equal.ts';
import { greater } from './greater.ts';
import { gridSample } from './grid-sample.ts';
import { groupNormalization } from './group-normalization.ts';
import { gru } from './gru.ts';
import { hardmax } from './hardmax.ts';
import { conditional } from './if.ts';
import { instanceNormalization } from './instance-normalization.ts';
import { isInf } from './is-inf.ts';
import { isNaN } from './is-na-n.ts';
import { layerNormalization } from './layer-normalization.ts';
import { lessOrEqual } from './less-or-equal.ts';
import { less } from './less.ts';
import { logSoftmax } from './log-softmax.ts';
import { lpNormalization } from './lp-normalization.ts';
import { lpPool } from './lp-pool.ts';
import { lrn } from './lrn.ts';
import { lstm } from './lstm.ts';
import { maxUnpool } from './max-unpool.ts';
import { meanVarianceNormalization } from './mean-variance-normalization.ts';
import { mean } from './mean.ts';
import { mod } from './mod.ts';
import { nonMaxSuppression } from './non-max-suppression.ts';
import { nonZero } from './non-zero.ts';
import { not } from './not.ts';
import { oneHot } from './one-hot.ts';
import { or } from './or.ts';
import { range } from './range.ts';
import { reduceLogSumExp } from './reduce-log-sum-exp.ts';
import { reduceLogSum } from './reduce-log-sum.ts';
import { reduceProd } from './reduce-prod.ts';
import { reverseSequence } from './reverse-sequence.ts';
import { rmsNormalization } from './rms-normalization.ts';
import { rnn } from './rnn.ts';
import { roiAlign } from './roi-align.ts';
import { round } from './round.ts';
import { scatterElements } from './scatter-elements.ts';
import { scatterND } from './scatter-nd.ts';
import { scatter } from './scatter.ts';
import { shrink } from './shrink.ts';
import { sign } from './sign.ts';
import { sin } from './sin.ts';
import { sinh } from './sinh.ts';
import { size } from './size.ts';
import { sum } from './sum.ts';
import { tan } from './tan.ts';
import { topK } from './top-k.ts';
import { convInteger } from './conv-integer.ts';
import { dynamicQuantizeLinear } from './dynamic-quantize-linear.ts';
import { matMulInteger } from './mat-mul-integer.ts';
import { upsample } from './upsample.ts';
import { trilu } from './trilu.ts';
import { where } from './where.ts';
import { xor } from './xor.ts';
import { microsoftDequantizeLinear } from './com-microsoft-dequantize-linear.ts';
import { qGemm } from './com-microsoft-q-gemm.ts';
import { qLinearAdd } from './com-microsoft-q-linear-add.ts';
import { qLinearAveragePool } from './com-microsoft-q-linear-average-pool.ts';
import { qLinearConcat } from './com-microsoft-q-linear-concat.ts';
import { qLinearGlobalAveragePool } from './com-microsoft-q-linear-global-average-pool.ts';
import { qLinearLeakyRelu } from './com-microsoft-q-linear-leaky-relu.ts';
import { qLinearMul } from './com-microsoft-q-linear-mul.ts';
import { qLinearSigmoid } from './com-microsoft-q-linear-sigmoid.ts';
import { qLinearSoftmax } from './com-microsoft-q-linear-softmax.ts';
import { microsoftQuantizeLinear } from './com-microsoft-quantize-linear.ts';
import { qLinearConv } from './q-linear-conv.ts';
import { qLinearMatMul } from './q-linear-mat-mul.ts';
import type { OnnxOperator } from './operator.ts';
import { onnxOperators } from './registry.ts';

export const hostOperators = [
  acos,
  acosh,
  and,
  argMax,
  argMin,
  asin,
  asinh,
  atan,
  atanh,
  bitShift,
  bitwiseAnd,
  bitwiseNot,
  bitwiseOr,
  bitwiseXor,
  castLike,
  ceil,
  centerCropPad,
  col2im,
  compress,
  conditional,
  cos,
  cosh,
  cumProd,
  cumSum,
  einsum,
  equal,
  eyeLike,
  floor,
  gatherElements,
  gatherND,
  globalLpPool,
  greaterOrEqual,
  greater,
  gridSample,
  groupNormalization,
  gru,
  hardmax,
  instanceNormalization,
  isInf,
  isNaN,
  layerNormalization,
  lessOrEqual,
  less,
  logSoftmax,
  lpNormalization,
  lpPool,
  lrn,
  lstm,
  maxUnpool,
  meanVarianceNormalization,
  mean,
  mod,
  nonMaxSuppression,
  nonZero,
  not,
  oneHot,
  or,
  range,
  reduceLogSumExp,
  reduceLogSum,
  reduceProd,
  reverseSequence,
  rmsNormalization,
  rnn,
  roiAlign,
  round,
  scatterElements,
  scatterND,
  scatter,
  shrink,
  sign,
  sin,
  sinh,
  size,
  sum,
  tan,
  topK,
  upsample,
  convInteger,
  dynamicQuantizeLinear,
  matMulInteger,
  trilu,
  where,
  xor,
  qLinearConv,
  qLinearMatMul,
  qGemm,
  qLinearAdd,
  qLinearMul,
  qLinearSigmoid,
  qLinearLeakyRelu,
  qLinearSoftmax,
  qLinearAveragePool,
  qLinearGlobalAveragePool,
  qLinearConcat,
  microsoftQuantizeLinear,
  microsoftDequantizeLinear,
] as readonly OnnxOperator[];

/** Every row, by ONNX type. */
export const allOperators: ReadonlyMap<string, OnnxOperator> = new Map(
  [...onnxOperators.values(), ...hostOperators]
    .map((row): [string, OnnxOperator] => [row.op, row])
    .sort(([a], [b]) => (a < b ? -1 : 1)),
);
