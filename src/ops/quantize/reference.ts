import { ModelError } from '../../errors.ts';
import { visitElements } from '../../program/input.ts';
import { quantizeReal } from '../../program/pointwise.ts';
import { elementCount, int8Tensor, type QuantizeOperation } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/**
 * `saturate(rint(x / scale) + zeroPoint)`, or a byte of integers of 16 bits; padded lanes at the zero point.
 *
 * @throws ModelError where a value is not a number, which no integer stands for
 */
export function quantizeReference(operation: QuantizeOperation, context: ReferenceContext): void {
  const output = int8Tensor(context.tensor(operation.output));
  const x = context.buffer(operation.inputs[0]);
  const y = context.buffer(output.id);
  y.fill(output.zeroPoint, 0, elementCount(output, context.batch));
  const { byte } = operation;
  if (byte) {
    const input = context.tensor(operation.inputs[0]);
    const offset = input.type === 'int32' && input.dtype === 'uint16' ? 32_768 : 0;
    visitElements(output, context.batch, (stored, logical) => {
      const q = x[logical] - offset;
      y[stored] = byte === 'high' ? q >> 8 : (q & 255) - 128;
    });
    return;
  }
  visitElements(output, context.batch, (stored, logical) => {
    const value = x[logical];
    if (Number.isNaN(value)) {
      const reason = `what it quantizes is not a number at index ${logical}`;
      throw new ModelError([{ node: operation.name, op: operation.kind, reason }]);
    }
    y[stored] = quantizeReal(value, output.scale, output.zeroPoint);
  });
}
