/** What operators share that only select from their input. */
import type { Node } from '../graph/graph.ts';
import type { LoweringContext } from '../program/lowering.ts';
import { lookupTable } from '../program/pointwise.ts';
import type { ImageShape, LookupOperation, Operation, ProgramTensor, TensorId } from '../program/program.ts';

/**
 * Emits the selection that `make` describes. Where its result has another scale than `input`, or a Relu or Clip stands behind it, a table
 * follows that does both.
 */
export function emitSelection(
  node: Node,
  input: ProgramTensor,
  shape: ImageShape,
  context: LoweringContext,
  make: (output: TensorId) => Operation,
): void {
  const output = context.output(node, shape, { like: input });
  if (!output) return;
  const { tensor, lo, hi } = output;
  const isSame = tensor.scale === input.scale && tensor.zeroPoint === input.zeroPoint;
  if (isSame && lo === -128 && hi === 127) {
    context.emit(make(tensor.id));
    return;
  }
  const selected = context.intermediate(node, shape, input);
  context.emit(make(selected.id));
  context.emit<LookupOperation>({
    kind: 'lookup',
    name: `${node.name}.requantize`,
    inputs: [selected.id],
    output: tensor.id,
    table: lookupTable({ tensor: selected, values: null }, tensor).map((q) => Math.min(Math.max(q, lo), hi)),
  });
}
