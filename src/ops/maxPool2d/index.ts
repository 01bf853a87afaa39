import { maxPool } from '../../graph/operators/max-pool.ts';
import { globalMaxPool } from '../../graph/operators/global-max-pool.ts';
import type { MaxPool2dOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerMaxPool2d } from './lower.ts';
import { maxPool2dReference } from './reference.ts';

export const maxPool2d: Operator<MaxPool2dOperation> = {
  kind: 'maxPool2d',
  onnx: [maxPool, globalMaxPool],
  takes: (node) => node.outputs.length === 1,
  lower: lowerMaxPool2d,
  reference: maxPool2dReference,
  macs: () => 0,
};
