/** What rows share whose result is their input's elements in order. */
import type { Evaluation, Shape, ShapeContext, Value } from './operator.ts';
import type { Node } from '../graph.ts';

/** The input's value, its data shared, under the result's shape. */
export function renamedValue({ inputs: [x], shape }: Evaluation): Value | undefined {
  return x && { dtype: x.dtype, shape, data: x.data };
}

export function renamedSizes(node: Node, context: ShapeContext): Shape | undefined {
  return context.elements(node.inputs[0]);
}
