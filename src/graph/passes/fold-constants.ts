import { constantNumbers } from '../attributes.ts';
import type { Graph, Node, Tensor } from '../graph.ts';
import { MAX_LIST } from '../limits.ts';
import { shapeContext } from '../infer-shapes.ts';
import type { OnnxOperator, Shape, ShapeContext } from '../operators/operator.ts';
import { averagePool } from '../operators/average-pool.ts';
import { conv } from '../operators/conv.ts';
import { convTranspose } from '../operators/conv-transpose.ts';
import { dequantizeLinear } from '../operators/dequantize-linear.ts';
import { gemm } from '../operators/gemm.ts';
import { globalAveragePool } from '../operators/global-average-pool.ts';
import { globalMaxPool } from '../operators/global-max-pool.ts';
import { matMul } from '../operators/mat-mul.ts';
import { maxPool } from '../operators/max-pool.ts';
import { reduceMean } from '../operators/reduce-mean.ts';
import { operatorOf } from '../operators/registry.ts';

/** Elements that folding may still allocate, over all its turns on one graph. */
export interface FoldingBudget {
  left: number;
}

/**
 * Four times the constants of `graph`, and a million. Honest models stay far below; a chain of Concats that double a
 * constant does not.
 */
export function foldingBudget(graph: Graph): FoldingBudget {
  let left = 2 ** 20;
  for (const { data } of graph.constants.values()) left += 4 * data.length;
  return { left };
}

/**
 * Computes what depends on constants alone, and on shapes that are known. Expects inferred shapes. Quantized weights stay
 * behind their DequantizeLinear. Casts and reshapes share their input's data.
 */
export function foldConstants(graph: Graph, budget = foldingBudget(graph)): Graph {
  const constants = new Map(graph.constants);
  const current: Graph = { ...graph, constants };
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  /** What Shape nodes and arithmetic with it give, some of it symbolic. */
  const elements = new Map<string, Shape>();
  const context = shapeContext(current, elements);
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const shape = graph.values.get(output)?.shape ?? [];
    const size = shape.reduce<number>((product, dim) => product * Number(dim), 1);
    const affordable = size <= budget.left && !outputs.has(output);
    const tensor = affordable
      ? (evaluate(current, node) ?? evaluateSizes(context, node, elements))
      : undefined;
    if (!tensor) {
      nodes.push(node);
      // A look at every element, in vain, is paid for all the same.
      if (affordable && node.inputs.every((input) => input === '' || constants.has(input)))
        budget.left -= size;
      continue;
    }
    constants.set(output, tensor);
    if (!node.inputs.some((input) => constants.get(input)?.data === tensor.data)) budget.left -= size;
  }
  return nodes.length === graph.nodes.length ? graph : { ...current, nodes };
}

/** Their work is more than the size of their result, which the budget counts; and quantized weights stay as they are. */
const NOT_FOLDED: ReadonlySet<OnnxOperator> = new Set<OnnxOperator>([
  averagePool,
  conv,
  convTranspose,
  dequantizeLinear,
  gemm,
  globalAveragePool,
  globalMaxPool,
  matMul,
  maxPool,
  reduceMean,
]);

/** The value of a node all of whose inputs are constants, where its row can tell. */
function evaluate(graph: Graph, node: Node): Tensor | undefined {
  const row = operatorOf(graph, node);
  const [name] = node.outputs;
  const known = graph.values.get(name);
  const inputs = node.inputs.map((input) => graph.constants.get(input));
  if (!row?.evaluate || NOT_FOLDED.has(row) || !known || node.outputs.length !== 1 || inputs.length === 0)
    return undefined;
  if (!node.inputs.every((input, index) => input === '' || inputs[index])) return undefined;
  const { dtype, shape } = known;
  if (!shape.every((dim) => typeof dim === 'number')) return undefined;
  const value = row.evaluate({
    node,
    inputs,
    dtype,
    shape,
    numbers: (input) => constantNumbers(graph, input),
  });
  return value && { ...value, name };
}

/** A list of sizes that is known though its inputs are no constants: it comes from shapes. */
function evaluateSizes(context: ShapeContext, node: Node, elements: Map<string, Shape>): Tensor | undefined {
  const { graph } = context;
  const [name] = node.outputs;
  const sizes = operatorOf(graph, node)?.sizes?.(node, context, graph.values);
  const known = graph.values.get(name);
  if (!sizes || known?.dtype !== 'int64' || sizes.length > MAX_LIST) return undefined;
  elements.set(name, sizes);
  if (!sizes.every((dim) => typeof dim === 'number')) return undefined;
  const shape = known.shape.length === 0 ? [] : [sizes.length];
  return { name, dtype: 'int64', shape, data: BigInt64Array.from(sizes, BigInt) };
}
