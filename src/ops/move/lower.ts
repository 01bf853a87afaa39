import { constantScalar, resolveAxis } from '../../graph/attributes.ts';
import type { Dimension, Node } from '../../graph/graph.ts';
import { concat } from '../../graph/operators/concat.ts';
import type { Move } from '../../graph/operators/operator.ts';
import { operatorOf } from '../../graph/operators/registry.ts';
import { MAX_CHANNELS } from '../../graph/strided.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { isListable, moveSource, relayout, wholePart } from '../../program/move.ts';
import { commonRescale, rescaleTable } from '../../program/multiplier.ts';
import { lookupTable, quantizeReal } from '../../program/pointwise.ts';
import {
  type ImageShape,
  imageLayout,
  type Int8Tensor,
  type MoveOperation,
  type MovePart,
  type Rescale,
} from '../../program/program.ts';

export function lowerMove(node: Node, context: LoweringContext): void {
  if (concat.is(node)) lowerConcat(node, context);
  else lowerMoving(node, context);
}

function lowerMoving(node: Node, context: LoweringContext): void {
  const input = context.activation(node, 0);
  if (!input) return;
  const { graph } = context;
  const from = context.shape(node, 0);
  const to = graph.values.get(node.outputs[0])?.shape;
  const rule = from && to && ruleOf(node, from, to, context);
  const layout = context.layoutBehind(node);
  if (!from || !to || !layout || typeof rule !== 'object') {
    const reason = typeof rule === 'string' ? rule : 'must be given by constants and fixed sizes';
    context.problem(node, `what it moves ${reason}`);
    return;
  }
  const shape = to.slice(1) as number[];
  const source = moveSource(input, layout, { shape, axes: rule.axes.slice(1) });
  if (!source) {
    context.problem(
      node,
      `moves single elements of a tensor of shape [${from}], which is too large for that`,
    );
    return;
  }
  const output = context.output(node, layout, (rule.fill ?? 0) === 0 ? { like: input } : {});
  if (!output) return;
  const { tensor, lo, hi } = output;
  const clamp = (q: number) => Math.min(Math.max(q, lo), hi);
  const isSame = tensor.scale === input.scale && tensor.zeroPoint === input.zeroPoint;
  const table =
    isSame && lo === -128 && hi === 127
      ? null
      : lookupTable({ tensor: input, values: null }, tensor).map(clamp);
  const fill = clamp(quantizeReal(rule.fill ?? 0, tensor.scale, tensor.zeroPoint));
  emitMove(node, tensor, [input], [wholePart(tensor, source, table)], fill, context);
}

/** Where the elements of a node's result come from, the batch symbolic or not: it must stay where it is. */
function ruleOf(
  node: Node,
  from: readonly Dimension[],
  to: readonly Dimension[],
  context: LoweringContext,
): Move | string | undefined {
  const { graph } = context;
  const isFixed = [...from.slice(1), ...to.slice(1)].every((size) => typeof size === 'number');
  if (!isFixed || from.length === 0 || to.length === 0) return undefined;
  if (![from, to].every((shape) => isListable(shape.slice(1) as number[]))) return 'is too large';
  // Two images show whether each takes its elements from itself.
  const images = typeof from[0] === 'number' ? from[0] : 2;
  const shapes = [from, to].map((shape) => [images, ...shape.slice(1)] as number[]);
  const rule = operatorOf(graph, node)?.move?.(node, {
    from: shapes[0],
    to: shapes[1],
    numbers(name) {
      const data = graph.constants.get(name)?.data;
      return data && data.length <= MAX_CHANNELS ? Array.from(data, Number) : undefined;
    },
    scalar: (name) => constantScalar(graph, name),
  });
  if (typeof rule !== 'object') return rule;
  const perImage = shapes[0].slice(1).reduce((product, size) => product * size, 1);
  const [batch] = rule.axes;
  const stays = from[0] === to[0] && Array.from(batch).every((at, n) => at === n * perImage);
  return stays && batch.length === images ? rule : 'leaves the images of the batch, which is not supported';
}

function lowerConcat(node: Node, context: LoweringContext): void {
  const shape = context.graph.values.get(node.outputs[0])?.shape ?? [];
  const axis = resolveAxis(concat.number(node, 'axis'), shape.length);
  const stored = storedAxis(axis ?? 0, shape);
  if (stored === undefined) {
    context.problem(node, `joins along axis ${axis ?? '?'} of [${shape}], which is not supported`);
    return;
  }
  const inputs = node.inputs.map((_, index) => context.image(node, index));
  if (!inputs.every((input) => input !== undefined)) return;
  const layout = imageLayout(shape);
  const isFixed = inputs.every((input) => isListable(input.image));
  if (!layout || !isFixed) {
    context.problem(node, `joins to [${shape}], which has no fixed sizes, or is too large`);
    return;
  }
  const [{ scale, zeroPoint }] = inputs;
  const isAlike = inputs.every((input) => input.scale === scale && input.zeroPoint === zeroPoint);
  const output = context.output(node, layout, isAlike ? { like: inputs[0] } : {});
  if (!output) return;
  const { tensor, lo, hi } = output;
  let at = 0;
  const parts = inputs.map((input): MovePart => {
    const first: ImageShape = [0, 1, 2].map((each) => (each === stored ? at : 0)) as never;
    at += input.image[stored];
    const rescale: Rescale = {
      ...commonRescale([Math.fround(input.scale / tensor.scale)], [1]),
      inputZeroPoints: Int32Array.of(input.zeroPoint),
      zeroPoint: tensor.zeroPoint,
      lo,
      hi,
    };
    const source = moveSource(input, input, relayout(input.shape.slice(1) as number[]))!;
    return { first, size: input.image, source, table: rescaleTable(rescale) };
  });
  emitMove(node, tensor, inputs, parts, tensor.zeroPoint, context);
}

/** The axis of an image [H, W, C] along which tensors are joined along `axis` of `shape`; undefined where it is none of the whole. */
function storedAxis(axis: number, shape: readonly Dimension[]): 0 | 1 | 2 | undefined {
  if (axis === 0) return undefined;
  if (axis === 1) return 2;
  if (axis === shape.length - 1) return 1;
  // Rows are the axes between, of which the first is whole.
  return axis === 2 ? 0 : undefined;
}

function emitMove(
  node: Node,
  output: Int8Tensor,
  inputs: readonly Int8Tensor[],
  parts: readonly MovePart[],
  fill: number,
  context: LoweringContext,
): void {
  context.emit<MoveOperation>({
    kind: 'move',
    name: node.name,
    inputs: inputs.map(({ id }) => id),
    output: output.id,
    parts,
    fill,
  });
}
