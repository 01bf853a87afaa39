import type { HostOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { hostReference } from './reference.ts';

/** Lowering itself makes it of nodes that do not run in integers. */
export const host: Operator<HostOperation> = {
  kind: 'host',
  stage: 'host',
  onnx: [],
  lower: () => undefined,
  reference: hostReference,
  macs({ row, operands, output }, tensor) {
    const learned = operands[row.learned?.[0] ?? 1];
    if (!row.macs || !learned) return 0;
    const shape = 'value' in learned ? learned.value.shape : learned.shape;
    return row.macs(tensor(output).shape, shape.map(Number));
  },
};
