import { logSoftmax as logSoftmaxRow } from '../../graph/operators/log-softmax.ts';
import { resolveAxis } from '../../graph/attributes.ts';
import { innermostLayout } from '../../program/layouts.ts';
import type { LogSoftmaxOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerLogSoftmax } from './lower.ts';
import { logSoftmaxReference } from './reference.ts';

export const logSoftmax: Operator<LogSoftmaxOperation> = {
  kind: 'logSoftmax',
  onnx: [logSoftmaxRow],
  layout: (node, _, shape) =>
    innermostLayout(shape, resolveAxis(logSoftmaxRow.number(node, 'axis'), shape.length)),
  lower: lowerLogSoftmax,
  reference: logSoftmaxReference,
  macs: () => 0,
};
