import { ModelError } from '../../errors.ts';
import { type FloatKernels, hostValue } from '../../program/host.ts';
import { elementCount, type HostOperation } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/**
 * The node's value for the whole batch, as its row computes it (src/graph/operators).
 *
 * @throws ModelError where the row gives none, which lowering has made sure of for one image
 */
export function hostReference(
  operation: HostOperation,
  context: ReferenceContext,
  kernels?: FloatKernels,
): void {
  const { batch } = context;
  const output = context.tensor(operation.output);
  const data = (input: number) => {
    const tensor = context.tensor(operation.inputs[input]);
    return (context.buffer(tensor.id) as Float32Array).subarray(0, elementCount(tensor, batch));
  };
  const value = hostValue(operation, output.shape, batch, data, kernels);
  if (value?.data.length !== elementCount(output, batch)) {
    const reason = `it has no value for a batch of ${batch}`;
    throw new ModelError([{ node: operation.name, op: operation.node.op, reason }]);
  }
  context.buffer(output.id).set(value.data as Float32Array);
}
