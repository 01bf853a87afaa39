import { resolveAxis } from '../../graph/attributes.ts';
import type { Dimension, Node } from '../../graph/graph.ts';
import { softmax } from '../../graph/operators/softmax.ts';
import { axisGroups, innermostLayout } from '../../program/layouts.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { toMultiplier } from '../../program/multiplier.ts';
import type { Int8Tensor, Layout, SoftmaxOperation } from '../../program/program.ts';
import { MAX_EXPONENTIALS, softmaxExponentials } from '../exponentials.ts';

/** Beyond it the largest result, 1, is at most half a step, which is rounded to 0. */
const MAX_SHIFT = 25;

/** Its reciprocal is at most 2²³, which a multiplier holds exactly. */
const MIN_SCALE = 2 ** -23;

/** The axis innermost; undefined where it is the batch, or a size is not fixed. */
export function softmaxLayout(node: Node, shape: readonly Dimension[]): Layout | undefined {
  return innermostLayout(shape, resolveAxis(softmax.number(node, 'axis'), shape.length));
}

export function lowerSoftmax(node: Node, context: LoweringContext): void {
  const shape = context.shape(node, 0) ?? [];
  const layout = softmaxLayout(node, shape);
  if (!layout) {
    const axis = softmax.number(node, 'axis');
    context.problem(node, `is over axis ${axis} of [${shape}]; it must be a fixed one behind the batch`);
    return;
  }
  const length = layout.image[2];
  if (length > MAX_EXPONENTIALS) {
    context.problem(node, `is over ${length} values; in integers at most ${MAX_EXPONENTIALS}`);
    return;
  }
  const input = context.activation(node, 0);
  if (!input) return;
  // Where the axis lies innermost already, the others may lie as they do.
  const current = axisGroups(input, shape as readonly number[]);
  const axis = resolveAxis(softmax.number(node, 'axis'), shape.length);
  const isInnermost = current?.[2].length === 1 && current[2][0] === axis;
  const x: Int8Tensor | undefined = isInnermost ? input : context.inLayout(node, 0, layout);
  if (!x) return;
  const output = context.output(node, x);
  if (!output) return;
  const { tensor, lo, hi } = output;
  if (tensor.scale < MIN_SCALE) {
    context.problem(node, `its result's scale, ${tensor.scale}, is too small for values of at most 1`);
    return;
  }
  const { mantissa, shift } = toMultiplier(Math.fround(1 / tensor.scale));
  context.emit<SoftmaxOperation>({
    kind: 'softmax',
    name: node.name,
    inputs: [x.id],
    output: tensor.id,
    exponentials: softmaxExponentials(x.scale, length),
    requantize: { mantissa, shift: Math.min(shift, MAX_SHIFT), zeroPoint: tensor.zeroPoint, lo, hi },
  });
}
