/** What the rows of QuantizeLinear and DequantizeLinear share. */
import { numberAttribute, resolveAxis } from '../attributes.ts';
import type { Node } from '../graph.ts';
import { sameOrUnknown } from '../shapes.ts';
import type { NormalizeContext } from './normalize-context.ts';
import type { Known } from './operator.ts';

/** What is wrong with the parameters: one a tensor, or one a slice of `axis`. */
export function checkScale(
  x: Known,
  scale: Known | undefined,
  zeroPoint: Known | undefined,
  node: Node,
): string | undefined {
  const shape = scale?.shape ?? [];
  const isScalar = shape.every((dim) => dim === 1);
  if (
    zeroPoint &&
    zeroPoint.shape.join() !== shape.join() &&
    !(isScalar && zeroPoint.shape.every((dim) => dim === 1))
  ) {
    return `scale and zero point have different shapes: [${shape}] and [${zeroPoint.shape}]`;
  }
  if (isScalar) return undefined;
  const axis = numberAttribute(node, 'axis', 1);
  const position = resolveAxis(axis, x.shape.length);
  if (position === undefined || shape.length > 1 || !sameOrUnknown(shape[0], x.shape[position])) {
    return `scale has shape [${shape}], which does not fit axis ${axis} of [${x.shape}]`;
  }
  return undefined;
}

export function refuseBlocks(node: Node, { problems }: NormalizeContext): void {
  if (numberAttribute(node, 'block_size', 0) !== 0) {
    problems.node(node, 'quantizes in blocks, which is not supported: use per-tensor or per-axis scales');
  }
}
