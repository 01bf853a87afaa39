import { ModelError } from '../../errors.ts';
import type { Dimension, Node } from '../../graph/graph.ts';
import { broadcastStrides } from '../../graph/strided.ts';
import { type AxisGroups, groupedLayout } from '../../program/layouts.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { isListable, moveSource, wholePart } from '../../program/move.ts';
import { requantizeMultiplier, toMultiplier } from '../../program/multiplier.ts';
import { operandShapes } from '../../program/pointwise.ts';
import type { Int8Tensor, Layout, MatMulOperation, MoveOperation } from '../../program/program.ts';

/** Largest product of two differences of an int8 and its zero point. */
const LARGEST_PRODUCT = 255 * 255;

/** Largest magnitude of a sum of `depth` products. */
export const largestSum = (depth: number): number => LARGEST_PRODUCT * depth;

/** Products with a constant matrix are convolutions. */
export function takesMatMul(node: Node, context: LoweringContext): boolean {
  const weights = context.constant(node, 1) ?? context.plainConstant(node, 1);
  return weights?.shape.length !== 2;
}

/** How operand `index`, of `shape`, is read: matrices with the inner axis innermost. Undefined where sizes are not fixed. */
export function operandLayout(shape: readonly Dimension[], index: number): Layout | undefined {
  return shape.length > 2 && isFixed(shape)
    ? groupedLayout(shape as readonly number[], matrixGroups(shape.length, index === 1))
    : undefined;
}

export function lowerMatMul(node: Node, context: LoweringContext): void {
  const shape = context.graph.values.get(node.outputs[0])?.shape ?? [];
  if (shape.length < 3 || !isFixed(shape)) {
    context.problem(
      node,
      `multiplies ${operandShapes(node, context)}; two activations need a batch, matrices behind it, and fixed sizes`,
    );
    return;
  }
  const a = operand(node, 0, shape, context);
  const b = operand(node, 1, shape, context);
  if (!a || !b) return;
  const depth = a.image[2];
  const bound = largestSum(depth);
  // Nothing that floats would make better: thrown, the node is refused.
  if (bound >= 2 ** 31) {
    throw new ModelError(`its accumulator can overflow int32: it sums ${depth} products, up to ${bound}`);
  }
  const accumulatorScale = Float32Array.of(a.scale * b.scale);
  const layout = groupedLayout(shape as readonly number[], matrixGroups(shape.length, false));
  const output = context.output(node, layout, { accumulatorScale });
  if (!output) return;
  const { tensor, lo, hi } = output;
  const requantize =
    tensor.type === 'int8'
      ? {
          ...toMultiplier(requantizeMultiplier(a.scale, b.scale, tensor.scale)),
          zeroPoint: tensor.zeroPoint,
          lo,
          hi,
        }
      : null;
  context.emit<MatMulOperation>({
    kind: 'matMul',
    name: node.name,
    inputs: [a.id, b.id],
    output: tensor.id,
    requantize,
  });
}

/** An operand with as many matrices as the product, in the layout that is read; a problem and undefined where it has none. */
function operand(
  node: Node,
  index: number,
  product: readonly Dimension[],
  context: LoweringContext,
): Int8Tensor | undefined {
  const own = context.shape(node, index) ?? [];
  const constant = context.constant(node, index);
  const isPerTensor = constant === undefined || constant.scale.length === 1;
  // Of constants the batch is left out, or 1.
  const full = constant ? [...product.slice(own.length).map(() => 1), ...own] : own;
  const batch = constant ? 1 : product[0];
  if (full.length !== product.length || full[0] !== batch || !isFixed(full) || !isPerTensor) {
    context.problem(
      node,
      `multiplies ${operandShapes(node, context)}; each needs the batch first, fixed sizes, and one scale`,
    );
    return undefined;
  }
  const sizes = full as readonly number[];
  const layout = operandLayout(sizes, index)!;
  const wanted = [...product.slice(0, -2), ...sizes.slice(-2)] as number[];
  const isRepeated = wanted.slice(1).join() !== sizes.slice(1).join();
  const values = constant && context.reals(node, index);
  const like = constant && { scale: constant.scale[0], zeroPoint: constant.zeroPoint[0] };
  const tensor = values && like ? context.held(node, values.data, layout, like) : undefined;
  if (!isRepeated) return tensor ?? context.inLayout(node, index, layout);
  const input = tensor ?? context.activation(node, index);
  return input && repeated(node, index, input, sizes, wanted, context);
}

/** The operand with its matrices repeated as leading axes broadcast. */
function repeated(
  node: Node,
  index: number,
  input: Int8Tensor,
  sizes: readonly number[],
  wanted: readonly number[],
  context: LoweringContext,
): Int8Tensor | undefined {
  const layout = operandLayout(wanted, index)!;
  const shape = wanted.slice(1);
  const strides = broadcastStrides(sizes.slice(1), shape);
  const axesOf = () =>
    shape.map((size, axis) => Int32Array.from({ length: size }, (_, i) => i * strides[axis]));
  const source = isListable(shape) ? moveSource(input, layout, { shape, axes: axesOf() }) : undefined;
  if (!source) {
    context.problem(node, `repeats matrices to [${wanted}], which is too large`);
    return undefined;
  }
  const tensor = context.intermediate(node, layout, input, `repeated${index}`);
  context.emit<MoveOperation>({
    kind: 'move',
    name: `${node.name}.repeat`,
    inputs: [input.id],
    output: tensor.id,
    parts: [wholePart(tensor, source, null)],
    fill: tensor.zeroPoint,
  });
  return tensor;
}

/** Matrices behind leading axes: which are stored as rows, and the order of the last two. */
function matrixGroups(rank: number, isTransposed: boolean): AxisGroups {
  const leading = Array.from({ length: rank - 3 }, (_, i) => i + 1);
  const [rows, columns] = [rank - 2, rank - 1];
  return isTransposed ? [leading, [columns], [rows]] : [leading, [rows], [columns]];
}

function isFixed(shape: readonly Dimension[]): boolean {
  return shape.slice(1).every((size) => typeof size === 'number' && size > 0);
}
