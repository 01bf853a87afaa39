import { resolveAxis } from '../../graph/attributes.ts';
import type { Node } from '../../graph/graph.ts';
import { logSoftmax } from '../../graph/operators/log-softmax.ts';
import { log } from '../../numerics/elementary.ts';
import { innermostLayout } from '../../program/layouts.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { roundHalfToEven } from '../../program/multiplier.ts';
import type { LogSoftmaxOperation } from '../../program/program.ts';
import { MAX_EXPONENTIALS, softmaxExponentials } from '../exponentials.ts';

/** Below it too few bits are left of a step. */
const MIN_SCALE = 2 ** -12;

export function lowerLogSoftmax(node: Node, context: LoweringContext): void {
  const shape = context.shape(node, 0) ?? [];
  const axis = logSoftmax.number(node, 'axis');
  const layout = innermostLayout(shape, resolveAxis(axis, shape.length));
  if (!layout) {
    context.problem(node, `is over axis ${axis} of [${shape}]; it must be a fixed one behind the batch`);
    return;
  }
  const length = layout.image[2];
  if (length > MAX_EXPONENTIALS) {
    context.problem(node, `is over ${length} values; in integers at most ${MAX_EXPONENTIALS}`);
    return;
  }
  const x = context.inLayout(node, 0, layout);
  const output = x && context.output(node, x);
  if (!output) return;
  const { tensor, lo, hi } = output;
  if (!(tensor.scale >= MIN_SCALE)) {
    context.problem(node, `its result's scale, ${tensor.scale}, is too small; at least 2^-12`);
    return;
  }
  context.emit<LogSoftmaxOperation>({
    kind: 'logSoftmax',
    name: node.name,
    inputs: [x.id],
    output: tensor.id,
    exponentials: softmaxExponentials(x.scale, length),
    ...logarithmTables(x.scale, tensor.scale),
    zeroPoint: tensor.zeroPoint,
    lo,
    hi,
  });
}

/**
 * Differences and logarithms in steps of the output, at the largest shift of at most 18 with `2^shift / outScale ≤ 2²³`: neighbouring logarithms
 * then differ by less than 2¹⁵ + 1, and all sums stay below 2²⁸.
 */
export function logarithmTables(
  scale: number,
  outScale: number,
): Pick<LogSoftmaxOperation, 'steps' | 'logarithms' | 'shift'> {
  let shift = 18;
  while (2 ** shift / outScale > 2 ** 23) shift--;
  const unit = 2 ** shift;
  return {
    shift,
    // 256 steps from the zero point are beyond int8 already.
    steps: Int32Array.from({ length: 256 }, (_, d) =>
      roundHalfToEven(Math.min((d * scale) / outScale, 512) * unit),
    ),
    logarithms: Int32Array.from({ length: 257 }, (_, i) =>
      roundHalfToEven((log(1 + i / 256) / outScale) * unit),
    ),
  };
}
