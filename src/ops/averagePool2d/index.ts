import { averagePool } from '../../graph/operators/average-pool.ts';
import { globalAveragePool } from '../../graph/operators/global-average-pool.ts';
import type { AveragePool2dOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerAveragePool2d } from './lower.ts';
import { averagePool2dReference } from './reference.ts';

export const averagePool2d: Operator<AveragePool2dOperation> = {
  kind: 'averagePool2d',
  onnx: [averagePool, globalAveragePool],
  lower: lowerAveragePool2d,
  reference: averagePool2dReference,
  macs: () => 0,
};
