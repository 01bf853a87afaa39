import type { Node } from '../../graph/graph.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { commonRescale } from '../../program/multiplier.ts';
import { lowerPointwise, operandShapes } from '../../program/pointwise.ts';
import type { AddOperation } from '../../program/program.ts';
import { hasConstantOperand } from '../binary.ts';

export function lowerAdd(node: Node, context: LoweringContext): void {
  const [p, q] = [context.pointwise(node, 0), context.pointwise(node, 1)];
  const isOfOneTensor = p !== undefined && p.tensor === q?.tensor && p.values !== q.values;
  if (hasConstantOperand(node, context) || isOfOneTensor) {
    lowerPointwise(node, context);
    return;
  }
  const a = context.activation(node, 0);
  const b = context.activation(node, 1);
  if (!a || !b) return;
  if (a.shape.join() !== b.shape.join() || context.rank(node, 0) !== context.rank(node, 1)) {
    context.problem(node, `adds ${operandShapes(node, context)}; broadcasting is not supported`);
    return;
  }
  const output = context.output(node, a.shape);
  if (!output) return;
  const { tensor, lo, hi } = output;
  const factors = [a, b].map((input) => Math.fround((input.scale as number) / (tensor.scale as number)));
  context.emit<AddOperation>({
    kind: 'add',
    name: node.name,
    inputs: [a.id, b.id],
    output: tensor.id,
    rescale: {
      ...commonRescale(factors, [1, 1]),
      inputZeroPoints: Int32Array.of(a.zeroPoint, b.zeroPoint),
      zeroPoint: tensor.zeroPoint,
      lo,
      hi,
    },
  });
}
