import type { Node } from '../../graph/graph.ts';
import { averagePool } from '../../graph/operators/average-pool.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { commonRescale } from '../../program/multiplier.ts';
import { type AveragePool2dOperation, nchw } from '../../program/program.ts';
import { poolWindow } from '../window.ts';

export function lowerAveragePool2d(node: Node, context: LoweringContext): void {
  const input = context.image(node, 0);
  if (!input) return;
  const countIncludePad = averagePool.is(node) && averagePool.number(node, 'count_include_pad') !== 0;
  const window = poolWindow(node, input.image);
  if (typeof window === 'string') {
    context.problem(node, window);
    return;
  }
  const output = context.output(node, nchw([...window.outputSize, input.image[2]]));
  if (!output) return;
  const { tensor, lo, hi } = output;
  const { kernel, stride, pads, dilation, overhang } = window;
  const counts = Array.from({ length: kernel[0] * kernel[1] }, (_, i) => i + 1);
  const ratio = Math.fround(input.scale / tensor.scale);
  const { multipliers, shift } = commonRescale(
    counts.map((count) => ratio / count),
    counts,
    true,
  );
  context.emit<AveragePool2dOperation>({
    kind: 'averagePool2d',
    name: node.name,
    inputs: [input.id],
    output: tensor.id,
    kernel,
    stride,
    pads,
    dilation,
    countIncludePad,
    overhang,
    rescale: {
      multipliers,
      inputZeroPoints: Int32Array.of(input.zeroPoint),
      shift,
      zeroPoint: tensor.zeroPoint,
      lo,
      hi,
    },
  });
}
