import type { Node } from '../../graph/graph.ts';
import { mul } from '../../graph/operators/mul.ts';
import { sub } from '../../graph/operators/sub.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { commonRescale, requantizeMultiplier } from '../../program/multiplier.ts';
import { hasConstantOperand, lowerPointwise, operandShapes } from '../../program/pointwise.ts';
import { type BinaryOperation, type Int8Tensor } from '../../program/program.ts';

/** Largest difference of an int8 and its zero point. */
const LARGEST = 255;

export function lowerBinary(node: Node, context: LoweringContext): void {
  const isProduct = mul.is(node);
  const [p, q] = [context.pointwise(node, 0), context.pointwise(node, 1)];
  const isOfOneTensor = p !== undefined && p.tensor === q?.tensor;
  // A function times another of one tensor (SiLU) is a table; so is a sum of two, but not of a tensor and itself.
  const isTable = isOfOneTensor && (isProduct || p.values !== q.values);
  if (hasConstantOperand(node, context) || isTable) {
    lowerPointwise(node, context);
    return;
  }
  const a = context.activation(node, 0);
  const b = context.activation(node, 1);
  if (!a || !b) return;
  const pair = operands(node, a, b, context);
  if (!pair) {
    context.problem(
      node,
      `${isProduct ? 'multiplies' : sub.is(node) ? 'subtracts' : 'adds'} ${operandShapes(node, context)}; they must be alike, or [N, C, H, W] and [N, C, 1, 1]`,
    );
    return;
  }
  const [image, other] = pair;
  const output = context.output(node, image);
  if (!output) return;
  const { tensor, lo, hi } = output;
  // A difference is taken in the given order: the sign goes with the tensor, whichever place it has.
  const signs = sub.is(node) ? (image === a ? [1, -1] : [-1, 1]) : [1, 1];
  const { multipliers, shift } = isProduct
    ? commonRescale([requantizeMultiplier(image.scale, other.scale, tensor.scale)], [LARGEST])
    : commonRescale(
        [image, other].map(({ scale }) => Math.fround(scale / tensor.scale)),
        [1, 1],
      );
  context.emit<BinaryOperation>({
    kind: 'binary',
    name: node.name,
    function: isProduct ? 'product' : 'sum',
    inputs: [image.id, other.id],
    output: tensor.id,
    rescale: {
      multipliers: isProduct ? multipliers : multipliers.map((m, i) => m * signs[i]),
      shift,
      inputZeroPoints: Int32Array.of(image.zeroPoint, other.zeroPoint),
      zeroPoint: tensor.zeroPoint,
      lo,
      hi,
    },
  });
}

/** The one whose shape the result has, first, and the other in its layout; undefined where they do not go together. */
function operands(
  node: Node,
  a: Int8Tensor,
  b: Int8Tensor,
  context: LoweringContext,
): readonly [Int8Tensor, Int8Tensor] | undefined {
  const [shapeA = [], shapeB = []] = [context.shape(node, 0), context.shape(node, 1)];
  if (shapeA.length !== shapeB.length) return undefined;
  if (shapeA.slice(1).join() === shapeB.slice(1).join()) {
    const other = context.inLayout(node, 1, a);
    return other && [a, other];
  }
  const isPixelOf = (shape: typeof shapeA, other: typeof shapeA) =>
    shape.length > 2 && shape[1] === other[1] && shape.slice(2).every((size) => size === 1);
  const isImage = (tensor: Int8Tensor, shape: typeof shapeA) => tensor.image[2] === shape[1];
  if (isPixelOf(shapeB, shapeA) && isImage(a, shapeA) && isImage(b, shapeB)) return [a, b];
  return isPixelOf(shapeA, shapeB) && isImage(a, shapeA) && isImage(b, shapeB) ? [b, a] : undefined;
}
