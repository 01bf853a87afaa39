import type { Node } from '../../graph/graph.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { commonRescale, requantizeMultiplier } from '../../program/multiplier.ts';
import { lowerPointwise, operandShapes } from '../../program/pointwise.ts';
import type { MulOperation, ProgramTensor } from '../../program/program.ts';
import { hasConstantOperand } from '../binary.ts';

/** Largest difference of an int8 and its zero point. */
const LARGEST = 255;

export function lowerMul(node: Node, context: LoweringContext): void {
  const [p, q] = [context.pointwise(node, 0), context.pointwise(node, 1)];
  // A square, or a function times another of one tensor (SiLU), is a table.
  if (hasConstantOperand(node, context) || (p !== undefined && p.tensor === q?.tensor)) {
    lowerPointwise(node, context);
    return;
  }
  const a = context.activation(node, 0);
  const b = context.activation(node, 1);
  if (!a || !b) return;
  const factors = context.rank(node, 0) === context.rank(node, 1) ? inOrder(a, b) : undefined;
  if (!factors) {
    context.problem(
      node,
      `multiplies ${operandShapes(node, context)}; they must be alike, or [N, C, H, W] and [N, C, 1, 1]`,
    );
    return;
  }
  const [image, other] = factors;
  const output = context.output(node, image.shape);
  if (!output) return;
  const { tensor, lo, hi } = output;
  const factor = requantizeMultiplier(image.scale as number, other.scale as number, tensor.scale as number);
  context.emit<MulOperation>({
    kind: 'mul',
    name: node.name,
    inputs: [image.id, other.id],
    output: tensor.id,
    rescale: {
      ...commonRescale([factor], [LARGEST]),
      inputZeroPoints: Int32Array.of(image.zeroPoint, other.zeroPoint),
      zeroPoint: tensor.zeroPoint,
      lo,
      hi,
    },
  });
}

/** The one whose shape the product has, first; undefined where they do not go together. */
function inOrder(a: ProgramTensor, b: ProgramTensor): readonly [ProgramTensor, ProgramTensor] | undefined {
  const fits = ({ shape }: ProgramTensor, other: ProgramTensor) =>
    other.shape.join() === shape.join() || other.shape.join() === [1, 1, shape[2]].join();
  if (fits(a, b)) return [a, b];
  return fits(b, a) ? [b, a] : undefined;
}
