/** Graph rewrites that lowering begins with. */
import { indexGraph } from '../graph/graph-index.ts';
import type { Graph, Node, Tensor } from '../graph/graph.ts';
import { add } from '../graph/operators/add.ts';
import { dequantizeLinear } from '../graph/operators/dequantize-linear.ts';
import { gemm } from '../graph/operators/gemm.ts';
import { matMul } from '../graph/operators/mat-mul.ts';
import { roleOf } from '../graph/operators/registry.ts';

/** Without the nodes that compute the sizes of a Reshape and the like, which shape inference knows the result of. */
export function withoutSizes(graph: Graph): Graph {
  const read = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    const isOfSizes = node.outputs.every((name) => graph.values.get(name)?.dtype === 'int64');
    if (isOfSizes && !node.outputs.some((name) => read.has(name))) continue;
    const inputs = roleOf(graph, node) === 'renames' ? node.inputs.slice(0, 1) : node.inputs;
    for (const name of inputs) read.add(name);
    nodes.push(inputs.length === node.inputs.length ? node : { ...node, inputs });
  }
  return { ...graph, nodes: nodes.reverse() };
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
