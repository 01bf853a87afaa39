import { constantScalar, resolveAxis } from '../../graph/attributes.ts';
import type { Dimension, Node } from '../../graph/graph.ts';
import { concat } from '../../graph/operators/concat.ts';
import type { Move } from '../../graph/operators/operator.ts';
import { operatorOf } from '../../graph/operators/registry.ts';
import { transpose, transposedAxes } from '../../graph/operators/transpose.ts';
import { MAX_CHANNELS, rowMajorStrides } from '../../graph/strided.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { type AxisGroups, axisGroups, groupedLayout, groupsWithin } from '../../program/layouts.ts';
import { isListable, moveSource, relayout, wholePart } from '../../program/move.ts';
import { commonRescale, rescaleTable } from '../../program/multiplier.ts';
import { lookupTable, quantizeReal } from '../../program/pointwise.ts';
import {
  type ImageShape,
  imageLayout,
  type Int8Tensor,
  type Layout,
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
  const layout = context.layoutBehind(node) ?? turned(node, input, from, to) ?? imageLayout(to ?? []);
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

/** The layout of a Transpose's input in which it costs nothing: what stands behind it wants the result as that then lies. */
export function moveLayout(
  node: Node,
  _: number,
  shape: readonly Dimension[],
  context: LoweringContext,
): Layout | undefined {
  if (!transpose.is(node)) return undefined;
  const wanted = context.layoutBehind(node);
  const to = context.graph.values.get(node.outputs[0])?.shape;
  const axes = transposedAxes(node, shape.length);
  return (
    wanted &&
    turnedBy(
      [...axes.keys()].map((axis) => axes.indexOf(axis)),
      wanted,
      to,
      shape,
    )
  );
}

/** The layout of a Transpose's result that keeps innermost what is so in the input; undefined where that is no whole axis. */
function turned(
  node: Node,
  { image, strides }: Layout,
  from: readonly Dimension[] = [],
  to: readonly Dimension[] = [],
): Layout | undefined {
  if (!transpose.is(node) || ![...from.slice(1), ...to.slice(1)].every(isSize)) return undefined;
  const own = rowMajorStrides([1, ...(from.slice(1) as number[])]);
  const innermost = own.findIndex(
    (stride, axis) => axis > 0 && stride === strides[2] && from[axis] === image[2] && image[2] > 1,
  );
  const axis = transposedAxes(node, from.length).indexOf(innermost);
  return axis > 0 ? groupedLayout(to as readonly number[], groupsWithin(to.length, axis)) : undefined;
}

/** A layout of `from` as one of `to`, whose axis i is axis `axes[i]` of `from`: elements stay where they are. */
function turnedBy(
  axes: readonly number[],
  { image, strides }: Layout,
  from: readonly Dimension[] | undefined,
  to: readonly Dimension[],
): Layout | undefined {
  if (!from || axes[0] !== 0 || ![...from.slice(1), ...to.slice(1)].every(isSize)) return undefined;
  const [own, others] = [from, to].map((shape) => rowMajorStrides([1, ...(shape.slice(1) as number[])]));
  const count = own[0];
  const steps = strides.map((step, stored) => {
    if (image[stored] === 1) return count;
    const coordinates = own.map(
      (stride, axis) => Math.floor(step / stride) % Number(axis === 0 ? 1 : from[axis]),
    );
    return axes.reduce((place, axis, i) => place + coordinates[axis] * others[i], 0);
  });
  // Each step must be as long as all that the shorter ones reach.
  const isLayout = [0, 1, 2]
    .filter((stored) => image[stored] > 1)
    .sort((a, b) => steps[a] - steps[b])
    .reduce((reached, stored) => (steps[stored] === reached ? reached * image[stored] : NaN), 1);
  return isLayout === count ? { image, strides: steps as unknown as ImageShape } : undefined;
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
  const shapes = node.inputs.map((_, index) => context.shape(node, index) ?? []);
  const isFixed = [shape, ...shapes].every((each) => each.slice(1).every(isSize)) && shape.length > 0;
  if (axis === undefined || axis === 0 || !isFixed) {
    context.problem(node, `joins along axis ${axis ?? '?'} of [${shape}], which is not supported`);
    return;
  }
  const constants = node.inputs.map((_, index) => context.reals(node, index));
  const tensors = constants.map((value, index) => (value ? undefined : context.activation(node, index)));
  if (tensors.some((tensor, index) => !tensor && !constants[index])) return;
  if (constants.some((value) => value && value.shape[0] !== 1)) {
    context.problem(node, 'joins constants of several images');
    return;
  }
  const groups = joinedGroups(axis, shape as number[], shapes as number[][], tensors);
  const layouts = shapes.map((each) => groupedLayout(each as number[], groups));
  const layout = groupedLayout(shape as number[], groups);
  const inputs = tensors.map((tensor, index) => tensor && context.inLayout(node, index, layouts[index]));
  if (![...layouts, layout].every(({ image }) => isListable(image))) {
    context.problem(node, `joins to [${shape}], which is too large`);
    return;
  }
  const [first] = inputs.filter((input) => input !== undefined);
  const isAlike = inputs.every(
    (input) => input?.scale === first?.scale && input?.zeroPoint === first?.zeroPoint,
  );
  const output = context.output(node, layout, first && isAlike ? { like: first } : {});
  if (!output) return;
  const { tensor, lo, hi } = output;
  const stored = groups.findIndex((axes) => axes[0] === axis);
  let at = 0;
  const parts = inputs.map((input, index): MovePart => {
    const { image } = layouts[index];
    const start: ImageShape = [0, 1, 2].map((each) => (each === stored ? at : 0)) as never;
    at += image[stored];
    const from = { ...layouts[index], image };
    const source = moveSource(from, from, relayout(shapes[index].slice(1) as number[]))!;
    const rescale: Rescale = {
      ...commonRescale([Math.fround((input ?? tensor).scale / tensor.scale)], [1]),
      inputZeroPoints: Int32Array.of((input ?? tensor).zeroPoint),
      zeroPoint: tensor.zeroPoint,
      lo,
      hi,
    };
    return { first: start, size: image, source, table: rescaleTable(rescale) };
  });
  const joined = inputs.map(
    (input, index) => input ?? context.held(node, constants[index]!.data, layouts[index], tensor),
  );
  emitMove(node, tensor, joined, parts, tensor.zeroPoint, context);
}

const isSize = (size: Dimension): size is number => typeof size === 'number' && size > 0;

/** Axes as stored, `axis` the outermost of those that it is stored with: as the inputs lie, where one lies so. */
function joinedGroups(
  axis: number,
  shape: readonly number[],
  shapes: readonly (readonly number[])[],
  tensors: readonly (Int8Tensor | undefined)[],
): AxisGroups {
  for (const [index, tensor] of tensors.entries()) {
    const groups = tensor && axisGroups(tensor, shapes[index]);
    const isWhole =
      groups && shape.every((size, each) => each === 0 || size === 1 || groups.flat().includes(each));
    if (isWhole && groups.some((axes) => axes[0] === axis)) return groups;
  }
  const usual = axisGroups(imageLayout(shape)!, shape);
  if (usual?.some((axes) => axes[0] === axis)) return usual;
  return groupsWithin(shape.length, axis);
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
