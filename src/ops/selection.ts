/** What operators share that only select from their input. */
import type { Node } from '../graph/graph.ts';
import type { LoweringContext } from '../program/lowering.ts';
import { lookupTable } from '../program/pointwise.ts';
import type { Int8Tensor, Layout, LookupOperation, Operation, TensorId } from '../program/program.ts';

/**
 * Emits the selection that `make` describes. Where its result has another scale than `input`, or a Relu or Clip stands behind it, a table
 * follows that does both.
 */
export function emitSelection(
  node: Node,
  input: Int8Tensor,
  layout: Layout,
  context: LoweringContext,
  make: (output: TensorId) => Operation,
): void {
  const output = context.output(node, layout, { like: input });
  if (!output) return;
  const { tensor, lo, hi } = output;
  if (tensor.type !== 'int8') return;
  const isSame = tensor.scale === input.scale && tensor.zeroPoint === input.zeroPoint;
  if (isSame && lo === -128 && hi === 127) {
    context.emit(make(tensor.id));
    return;
  }
  const selected = context.intermediate(node, layout, input, 'unclamped');
  context.emit(make(selected.id));
  context.emit<LookupOperation>({
    kind: 'lookup',
    name: `${node.name}.requantize`,
    inputs: [selected.id],
    output: tensor.id,
    table: lookupTable({ tensor: selected, values: null }, tensor).map((q) => Math.min(Math.max(q, lo), hi)),
  });
}
