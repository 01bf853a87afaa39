import { reduceL1 } from '../../graph/operators/reduce-l1.ts';
import { reduceL2 } from '../../graph/operators/reduce-l2.ts';
import { reduceMax } from '../../graph/operators/reduce-max.ts';
import { reduceMean } from '../../graph/operators/reduce-mean.ts';
import { reduceMin } from '../../graph/operators/reduce-min.ts';
import { reduceSumSquare } from '../../graph/operators/reduce-sum-square.ts';
import { reduceSum } from '../../graph/operators/reduce-sum.ts';
import type { ReduceOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { LARGEST, lowerReduce, reduceLayout } from './lower.ts';
import { reduceReference } from './reference.ts';

export const reduce: Operator<ReduceOperation> = {
  kind: 'reduce',
  onnx: [reduceL1, reduceL2, reduceMax, reduceMean, reduceMin, reduceSum, reduceSumSquare],
  layout: (node, _, shape, context) => reduceLayout(node, shape, context),
  lower: lowerReduce,
  reference: reduceReference,
  macs: () => 0,
  accumulatorBound({ function: fold, inputs, axes }, tensor) {
    const count = tensor(inputs[0]).image.reduce(
      (product, size, axis) => product * (axes[axis] ? size : 1),
      1,
    );
    return LARGEST[fold] * count;
  },
};
