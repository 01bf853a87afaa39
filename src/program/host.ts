/** Nodes of a host stage: what they read, and whether their rows can compute them. */
import type { FloatKernels } from '../graph/float-kernels.ts';
import { resolveAxis } from '../graph/attributes.ts';
import type { Dimension, Graph, Node } from '../graph/graph.ts';
import { shapeContext } from '../graph/infer-shapes.ts';
import { MAX_LIST } from '../graph/limits.ts';
import type { Known, OnnxOperator, Value } from '../graph/operators/operator.ts';
import { countOf, type Draft } from './draft.ts';
import type { HostOperand, HostOperation } from './program.ts';

export { plainFloatKernels } from '../graph/float-kernels.ts';
export type { FloatConvolution, FloatKernels, FloatProduct } from '../graph/float-kernels.ts';

/** The part of a `HostOperation` that computes. */
type HostNode = Pick<HostOperation, 'node' | 'row' | 'operands'>;

/**
 * The node's value for `batch` images.
 *
 * @param shape the result's, the batch first
 * @param data of an input of the operation, by its position
 */
export function hostValue(
  { node, row, operands }: HostNode,
  shape: readonly Dimension[],
  batch: number,
  data: (input: number) => Float32Array,
  kernels?: FloatKernels,
): Value | undefined {
  const inputs = operands.map((operand): Value | undefined => {
    if (!operand || 'value' in operand) return operand?.value;
    const sizes = ofBatch(operand.shape, batch);
    return { dtype: 'float32', shape: sizes, data: data(operand.input) };
  });
  return row.evaluate?.({
    node,
    inputs,
    dtype: 'float32',
    shape: ofBatch(shape, batch),
    numbers: (name) => numbersOf(node, operands, name),
    kernels,
  });
}

/**
 * Why a node cannot be computed on the host for any batch, undefined where it can.
 *
 * @param shape the result's, the batch first
 * @param draft counts the lists of places that moves make
 */
export function hostProblem(
  host: HostNode,
  shape: readonly Dimension[],
  graph: Graph,
  draft: Pick<Draft, 'list'>,
): string | undefined {
  const { node, row, operands } = host;
  const shapes = operands.flatMap((operand) => (operand && 'input' in operand ? [operand.shape] : []));
  for (const each of [shape, ...shapes]) {
    if (!isBatchOfFixed(each)) return `[${each}] has sizes behind the batch that are not fixed`;
    if (!(countOf(each)! <= MAX_ELEMENTS)) return `[${each}] has more than ${MAX_ELEMENTS} elements an image`;
  }
  // Two sizes of the batch show that it stays where it is.
  for (const batch of [2, 3]) {
    const result = shapeOf(row, node, operands, batch, graph);
    if (result?.join() !== ofBatch(shape, batch).join())
      return `it does not keep the batch as the first dimension of [${shape}]`;
  }
  if (row.move) draft.list(shape.slice(1).reduce<number>((sum, size) => sum + Number(size), 0));
  if (!keepsImages(host, shape)) return 'what it makes of an image depends on the others of the batch';
  // No image at all shows whether the parameters are given, at no cost.
  const value = hostValue(host, shape, 0, () => new Float32Array());
  return value?.data instanceof Float32Array
    ? undefined
    : 'its parameters must be constants within what Octet supports';
}

/** Elements of one image that a host stage reads or writes at most: a float32 each, 512 MiB. */
const MAX_ELEMENTS = 2 ** 27;

/** Whether each image of the batch is computed from itself, as far as the node's place of work shows it. */
function keepsImages({ node, row, operands }: HostNode, shape: readonly Dimension[]): boolean {
  const [first] = operands;
  if (!first || 'value' in first) return true;
  if (!row.move) {
    const rank = first.shape.length;
    const axes =
      row.along?.(node, rank, (name) => numbersOf(node, operands, name)?.[0]) ??
      ('axis' in row.attributes ? [row.number(node, 'axis')] : []);
    return axes.every((axis) => resolveAxis(axis, rank) !== 0);
  }
  const from = ofBatch(first.shape, 2);
  const rule = row.move(node, {
    from,
    to: ofBatch(shape, 2),
    numbers: (name) => numbersOf(node, operands, name),
    scalar: (name) => numbersOf(node, operands, name)?.[0],
  });
  if (typeof rule !== 'object') return true;
  const perImage = from.slice(1).reduce((product, size) => product * size, 1);
  return Array.from(rule.axes[0]).join() === `0,${perImage}`;
}

/** Elements of a constant that is a list. */
function numbersOf(node: Node, operands: HostNode['operands'], name: string): readonly number[] | undefined {
  const operand = operands[node.inputs.indexOf(name)];
  if (!operand || !('value' in operand) || operand.value.data.length > MAX_LIST) return undefined;
  return Array.from(operand.value.data, Number);
}

/** The shape that the row gives for `batch` images, undefined where it cannot tell. */
function shapeOf(
  row: OnnxOperator,
  node: Node,
  operands: readonly (HostOperand | undefined)[],
  batch: number,
  graph: Graph,
): readonly Dimension[] | undefined {
  const [first, ...rest] = operands.map((operand): Known | undefined => {
    if (!operand || 'value' in operand) return operand?.value;
    return { dtype: 'float32', shape: ofBatch(operand.shape, batch) };
  });
  const result = first && row.shape(first, rest, node, shapeContext(graph, new Map()));
  if (typeof result !== 'object') return undefined;
  const output = 'outputs' in result ? result.outputs[0] : result;
  return 'dtype' in output ? output.shape : output;
}

function ofBatch(shape: readonly Dimension[], batch: number): number[] {
  return shape.map((size, axis) => (axis === 0 ? batch : Number(size)));
}

function isBatchOfFixed(shape: readonly Dimension[]): boolean {
  return shape.length > 0 && shape.slice(1).every((size) => typeof size === 'number' && size > 0);
}
