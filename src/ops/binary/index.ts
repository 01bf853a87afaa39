import { add } from '../../graph/operators/add.ts';
import { div } from '../../graph/operators/div.ts';
import { max } from '../../graph/operators/max.ts';
import { min } from '../../graph/operators/min.ts';
import { mul } from '../../graph/operators/mul.ts';
import { pRelu } from '../../graph/operators/p-relu.ts';
import { pow } from '../../graph/operators/pow.ts';
import { sub } from '../../graph/operators/sub.ts';
import type { BinaryOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerBinary } from './lower.ts';
import { binaryReference } from './reference.ts';

export const binary: Operator<BinaryOperation> = {
  kind: 'binary',
  onnx: [add, div, max, min, mul, pow, pRelu, sub],
  keepsLayout: true,
  lower: lowerBinary,
  reference: binaryReference,
  macs: () => 0,
};
