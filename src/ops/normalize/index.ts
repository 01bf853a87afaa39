import { groupNormalization } from '../../graph/operators/group-normalization.ts';
import { instanceNormalization } from '../../graph/operators/instance-normalization.ts';
import { layerNormalization } from '../../graph/operators/layer-normalization.ts';
import { lpNormalization } from '../../graph/operators/lp-normalization.ts';
import { rmsNormalization } from '../../graph/operators/rms-normalization.ts';
import type { NormalizeOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerNormalize, normalizeLayout } from './lower.ts';
import { normalizeReference } from './reference.ts';

export const normalize: Operator<NormalizeOperation> = {
  kind: 'normalize',
  onnx: [groupNormalization, instanceNormalization, layerNormalization, lpNormalization, rmsNormalization],
  layout: (node, _, shape) => normalizeLayout(node, shape),
  lower: lowerNormalize,
  reference: normalizeReference,
  macs: () => 0,
};
