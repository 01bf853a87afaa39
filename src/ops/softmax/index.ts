import { softmax as softmaxRow } from '../../graph/operators/softmax.ts';
import type { SoftmaxOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerSoftmax, softmaxLayout } from './lower.ts';
import { softmaxReference } from './reference.ts';

export const softmax: Operator<SoftmaxOperation> = {
  kind: 'softmax',
  onnx: [softmaxRow],
  takes: (node, context) => !context.endsGraph(node),
  layout: (node, _, shape) => softmaxLayout(node, shape),
  lower: lowerSoftmax,
  reference: softmaxReference,
  macs: () => 0,
};
