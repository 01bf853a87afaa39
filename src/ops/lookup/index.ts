import { div } from '../../graph/operators/div.ts';
import { max } from '../../graph/operators/max.ts';
import { min } from '../../graph/operators/min.ts';
import { pRelu } from '../../graph/operators/p-relu.ts';
import { pow } from '../../graph/operators/pow.ts';
import { onnxOperators } from '../../graph/operators/registry.ts';
import type { LookupOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerPointwise } from '../../program/pointwise.ts';
import { lookupReference } from './reference.ts';

const ofTwo: ReadonlySet<unknown> = new Set([div, max, min, pow, pRelu]);

export const lookup: Operator<LookupOperation> = {
  kind: 'lookup',
  // Those that may be of two tensors are `binary`.
  onnx: [...onnxOperators.values()].filter(
    (row) => (row.role === 'pointwise' || row.role === 'clamps') && !ofTwo.has(row),
  ),
  keepsLayout: true,
  lower: lowerPointwise,
  reference: lookupReference,
  macs: () => 0,
};
