import { computeHost, type FloatKernels, type HostData } from '../../program/host.ts';
import { elementCount, type HostOperation, type TensorId } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/**
 * The node's output for the whole batch, as its row computes it (src/graph/operators).
 *
 * @throws ModelError where the row gives none, which lowering has made sure of for one image
 */
export function hostReference(
  operation: HostOperation,
  context: ReferenceContext,
  kernels?: FloatKernels,
): void {
  const { batch } = context;
  const dataOf = (id: TensorId) =>
    (context.buffer(id) as HostData).subarray(0, elementCount(context.tensor(id), batch));
  const output = context.tensor(operation.output);
  const dtype = output.type === 'int32' ? output.dtype : 'float32';
  computeHost(
    operation,
    { dtype, shape: output.shape },
    batch,
    (input) => dataOf(operation.inputs[input]),
    dataOf(output.id),
    kernels,
  );
}
