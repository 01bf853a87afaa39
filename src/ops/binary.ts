/** What operators of two tensors share when they are lowered. */
import type { Node } from '../graph/graph.ts';
import type { LoweringContext } from '../program/lowering.ts';

/** Whether one of the operands is constant: the node is then a function of one tensor. */
export function hasConstantOperand(node: Node, context: LoweringContext): boolean {
  return [0, 1].some((index) => context.constant(node, index) ?? context.plainConstant(node, index));
}
