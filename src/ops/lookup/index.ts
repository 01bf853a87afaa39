import { max } from '../../graph/operators/max.ts';
import { min } from '../../graph/operators/min.ts';
import { onnxOperators } from '../../graph/operators/registry.ts';
import type { LookupOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerPointwise } from '../../program/pointwise.ts';
import { lookupReference } from './reference.ts';

export const lookup: Operator<LookupOperation> = {
  kind: 'lookup',
  // Of two tensors, Max and Min are `binary`.
  onnx: [...onnxOperators.values()].filter(
    (row) => (row.role === 'pointwise' || row.role === 'clamps') && row !== max && row !== min,
  ),
  keepsLayout: true,
  lower: lowerPointwise,
  reference: lookupReference,
  macs: () => 0,
};
