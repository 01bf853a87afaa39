/** Graph rewrites that lowering begins with. */
import { type GraphIndex, indexGraph } from '../graph/graph-index.ts';
import type { Dimension, DType, Graph, Node, Tensor } from '../graph/graph.ts';
import { add } from '../graph/operators/add.ts';
import { constantOfShape } from '../graph/operators/constant-of-shape.ts';
import { dequantizeLinear } from '../graph/operators/dequantize-linear.ts';
import { expand } from '../graph/operators/expand.ts';
import { gemm } from '../graph/operators/gemm.ts';
import { matMul } from '../graph/operators/mat-mul.ts';
import type { Value } from '../graph/operators/operator.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import { operatorOf, roleOf } from '../graph/operators/registry.ts';
import { resize } from '../graph/operators/resize.ts';
import { valueNames } from '../graph/rewrite.ts';

/** What sizes are computed in; exporters choose between them by conditions. */
const SIZE_TYPES: ReadonlySet<DType | undefined> = new Set(['int64', 'bool']);

/** Without the nodes that compute the sizes of a Reshape, a Resize and the like, which shape inference knows the result of. */
export function withoutSizes(graph: Graph): Graph {
  const names = valueNames(graph);
  const constants = new Map(graph.constants);
  const hold = (node: Node, sizes: readonly Dimension[]): string => {
    const name = names.fresh(`${node.name}.sizes`);
    const data = BigInt64Array.from(sizes, BigInt);
    constants.set(name, { name, dtype: 'int64', shape: [sizes.length], data });
    return name;
  };
  const read = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    const isOfSizes = node.outputs.every((name) => SIZE_TYPES.has(graph.values.get(name)?.dtype));
    if (isOfSizes && !node.outputs.some((name) => read.has(name))) continue;
    const changed = withFixedSizes(graph, node, hold);
    for (const name of changed.inputs) read.add(name);
    nodes.push(changed);
  }
  return { ...graph, constants, nodes: nodes.reverse() };
}

/** Without the sizes that a node is given, or with those behind the batch alone where they are computed with it. */
function withFixedSizes(
  graph: Graph,
  node: Node,
  hold: (node: Node, sizes: readonly Dimension[]) => string,
): Node {
  if (roleOf(graph, node) === 'renames') {
    return node.inputs.length > 1 ? { ...node, inputs: node.inputs.slice(0, 1) } : node;
  }
  const [input] = node.inputs;
  const sizes = (graph.values.get(node.outputs[0])?.shape ?? []).slice(1);
  const isComputed = (name = '') => name !== '' && !graph.constants.has(name);
  if (!sizes.every((size) => typeof size === 'number') || sizes.length === 0) return node;
  if (resize.is(node) && isComputed(node.inputs[3]) && !('axes' in node.attributes)) {
    const axes = sizes.map((_, axis) => axis + 1);
    return { ...node, inputs: [input, '', '', hold(node, sizes)], attributes: { ...node.attributes, axes } };
  }
  // A batch of one gives way to that of the input.
  const isOfBatch = typeof graph.values.get(input)?.shape[0] === 'string';
  if (expand.is(node) && isComputed(node.inputs[1]) && isOfBatch) {
    return { ...node, inputs: [input, hold(node, [1, ...sizes])] };
  }
  return node;
}

/**
 * Constants that an Expand repeats for each image of the batch (a class token) as they are, quantized where a QuantizeLinear reads them: what
 * joins a constant with an activation does so for each image.
 */
export function withoutRepeatedConstants(graph: Graph): Graph {
  const sources = new Map<string, string>();
  const constants = new Map(graph.constants);
  const names = valueNames(graph);
  const index = indexGraph(graph);
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const inputs = node.inputs.map((name) => sources.get(name) ?? name);
    const [name] = inputs;
    const [output] = node.outputs;
    const element = repeatedElement(graph, node);
    if (element && isBroadcast(index, output)) {
      const constant = names.fresh(`${output}.element`);
      constants.set(constant, { ...element, name: constant });
      sources.set(output, constant);
      return [];
    }
    const [batch, ...sizes] = graph.values.get(output)?.shape ?? [];
    const isOfImage = constants.get(name)?.shape.join() === [1, ...sizes].join();
    if (expand.is(node) && typeof batch === 'string' && isOfImage) {
      sources.set(output, name);
      return [];
    }
    if (!quantizeLinear.is(node) || !sources.has(node.inputs[0])) return [{ ...node, inputs }];
    const operands = inputs.map((each) => constants.get(each));
    const { dtype } = graph.values.get(output)!;
    const shape = constants.get(name)!.shape;
    const value = quantizeLinear.evaluate?.({
      node,
      inputs: operands,
      dtype,
      shape,
      numbers: () => undefined,
    });
    if (!value) return [{ ...node, inputs }];
    constants.set(output, { ...value, name: output });
    return [];
  });
  if (sources.size === 0) return graph;
  const values = new Map([...graph.values].filter(([name]) => !constants.has(name)));
  return { ...graph, nodes, constants, values };
}

/** The one value that fills a tensor as large as the batch (zeros_like); undefined for other nodes. */
function repeatedElement(graph: Graph, node: Node): Value | undefined {
  const { dtype, shape } = graph.values.get(node.outputs[0]) ?? {};
  if (dtype === undefined || typeof shape?.[0] !== 'string') return undefined;
  const [data] = node.inputs.map((name) => graph.constants.get(name));
  if (expand.is(node)) return data?.data.length === 1 ? { ...data, shape: [] } : undefined;
  if (!constantOfShape.is(node)) return undefined;
  const inputs = [{ dtype: 'int64', shape: [0], data: new BigInt64Array() } as const];
  return constantOfShape.evaluate?.({ node, inputs, dtype, shape: [], numbers: () => undefined });
}

/** Whether all that reads a value, quantized or not, joins it with another of the same shape. */
function isBroadcast(index: GraphIndex, name: string): boolean {
  const { graph } = index;
  const shape = graph.values.get(name)?.shape.join();
  return (
    !index.outputs.has(name) &&
    index.readers(name).every((reader) => {
      if (quantizeLinear.is(reader) || dequantizeLinear.is(reader))
        return isBroadcast(index, reader.outputs[0]);
      const row = operatorOf(graph, reader);
      const joins = row?.binary !== undefined || row?.broadcasts === true;
      return (
        joins &&
        reader.inputs.some((other) => other !== name && graph.values.get(other)?.shape.join() === shape)
      );
    })
  );
}

/** MatMul and the addition of a constant vector to its result, as the Gemm that they are; of more dimensions, as a MatMul with a third input. */
export function joinMatMulBias(graph: Graph): Graph {
  const index = indexGraph(graph);
  const constantOf = (name: string): Tensor | undefined => {
    const producer = index.producer(name);
    return graph.constants.get(dequantizeLinear.is(producer) ? producer.inputs[0] : name);
  };
  const replaced = new Map<Node, Node>();
  for (const node of graph.nodes) {
    const [result] = node.outputs;
    const sum = index.onlyReader(result);
    const rank = graph.values.get(result)?.shape.length ?? 0;
    if (!matMul.is(node) || !add.is(sum) || rank < 2) continue;
    const bias = sum.inputs.find((name) => name !== result) ?? '';
    const { shape } = constantOf(bias) ?? {};
    const outChannels = graph.values.get(result)?.shape.at(-1);
    // A constant of more dimensions than the product gives the sum another shape.
    const isRow = shape?.length === 1 || (shape?.length === 2 && shape[0] === 1);
    if (constantOf(node.inputs[1])?.shape.length !== 2 || !isRow || shape.at(-1) !== outChannels) continue;
    // In the sum's place, behind the nodes that the bias comes from.
    const op = rank === 2 ? gemm.op : matMul.op;
    replaced.set(sum, { ...node, op, inputs: [...node.inputs, bias], outputs: sum.outputs });
  }
  if (replaced.size === 0) return graph;
  const joined = new Set([...replaced.values()].map(({ name }) => name));
  const nodes = graph.nodes.flatMap((node) => {
    if (matMul.is(node) && joined.has(node.name)) return [];
    return [replaced.get(node) ?? node];
  });
  return { ...graph, nodes };
}
