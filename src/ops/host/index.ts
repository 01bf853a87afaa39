import type { FloatKernels } from '../../program/host.ts';
import type { HostOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { hostReference } from './reference.ts';

/**
 * Lowering itself makes it of nodes that do not run in integers.
 *
 * @param kernels what computes convolutions and matrix products, plain loops where left out
 */
export const hostOperator = (kernels?: FloatKernels): Operator<HostOperation> => ({
  kind: 'host',
  stage: 'host',
  onnx: [],
  lower: () => undefined,
  reference: (operation, context) => hostReference(operation, context, kernels),
  macs({ row, operands, output }, tensor) {
    const learned = operands[row.learned?.[0] ?? 1];
    if (!row.macs || !learned) return 0;
    const shape = 'value' in learned ? learned.value.shape : learned.shape;
    return row.macs(tensor(output).shape, shape.map(Number));
  },
});
