import { isNearest, resize as resizeRow } from '../../graph/operators/resize.ts';
import type { ResizeOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerResize } from './lower.ts';
import { resizeReference } from './reference.ts';

export const resize: Operator<ResizeOperation> = {
  kind: 'resize',
  onnx: [resizeRow],
  takes: (node) => !isNearest(node),
  lower: lowerResize,
  reference: resizeReference,
  macs: () => 0,
};
