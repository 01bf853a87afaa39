import { resolveAxis } from '../../graph/attributes.ts';
import type { Node } from '../../graph/graph.ts';
import { concat as concatRow } from '../../graph/operators/concat.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { commonRescale } from '../../program/multiplier.ts';
import type { ConcatOperation, ImageShape } from '../../program/program.ts';

export function lowerConcat(node: Node, context: LoweringContext): void {
  const inputs = node.inputs.map((_, index) => context.activation(node, index));
  if (!inputs.every((input) => input !== undefined)) return;
  const rank = context.rank(node, 0) ?? 4;
  const axis = resolveAxis(concatRow.number(node, 'axis'), rank);
  if (axis !== 1) {
    context.problem(node, `joins along axis ${axis ?? '?'} of ${rank}; only channels (axis 1) are supported`);
    return;
  }
  const [height, width] = inputs[0].shape;
  if (
    inputs.some(
      ({ shape }) => shape[0] !== height || shape[1] !== width || (rank !== 4 && height * width > 1),
    )
  ) {
    context.problem(node, 'joins images of different sizes, or flattened images: join before flattening');
    return;
  }
  const channels = inputs.reduce((sum, { shape }) => sum + shape[2], 0);
  const shape: ImageShape = [height, width, channels];
  const { scale, zeroPoint } = inputs[0];
  const isAlike = inputs.every((input) => input.scale === scale && input.zeroPoint === zeroPoint);
  const output = context.output(node, shape, isAlike ? { like: inputs[0] } : {});
  if (!output) return;
  const { tensor, lo, hi } = output;
  context.emit<ConcatOperation>({
    kind: 'concat',
    name: node.name,
    inputs: inputs.map(({ id }) => id),
    output: tensor.id,
    rescales: inputs.map((input) => ({
      ...commonRescale([Math.fround((input.scale as number) / (tensor.scale as number))], [1]),
      inputZeroPoints: Int32Array.of(input.zeroPoint),
      zeroPoint: tensor.zeroPoint,
      lo,
      hi,
    })),
  });
}
