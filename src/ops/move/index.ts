import { concat } from '../../graph/operators/concat.ts';
import { onnxOperators } from '../../graph/operators/registry.ts';
import { isNearest, resize } from '../../graph/operators/resize.ts';
import type { MoveOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerMove, moveLayout } from './lower.ts';
import { moveReference } from './reference.ts';

export const move: Operator<MoveOperation> = {
  kind: 'move',
  onnx: [concat, ...[...onnxOperators.values()].filter((row) => 'move' in row)],
  takes: (node) => !resize.is(node) || isNearest(node),
  layout: moveLayout,
  lower: lowerMove,
  reference: moveReference,
  macs: () => 0,
};
