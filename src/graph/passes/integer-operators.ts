/** Operators on integers, between QuantizeLinear and DequantizeLinear, as the ones on real values that they stand for. */
import { constantScalar } from '../attributes.ts';
import type { DType, Graph, Node, Tensor } from '../graph.ts';
import { clip } from '../operators/clip.ts';
import { concat } from '../operators/concat.ts';
import { dequantizeLinear } from '../operators/dequantize-linear.ts';
import { max } from '../operators/max.ts';
import { min } from '../operators/min.ts';
import { selects } from '../operators/operator.ts';
import { quantizeLinear } from '../operators/quantize-linear.ts';
import { roleOf } from '../operators/registry.ts';
import { relu } from '../operators/relu.ts';
import { Names, valueNames } from '../rewrite.ts';

/**
 * A DequantizeLinear before each operator that selects, moves, joins or bounds integers, and a QuantizeLinear behind it: with one
 * scale on both sides the integers are the same. Renaming operators take integers as they are.
 */
export function dequantizeIntegers(graph: Graph): Graph {
  const integers = graph.nodes.filter((node) => isOnIntegers(graph, node));
  if (integers.length === 0) return graph;
  const parametersOf = integerParameters(graph);
  const names = valueNames(graph);
  const nodeNames = new Names(graph.nodes.map(({ name }) => name));
  const constants = new Map(graph.constants);
  const replaced = new Map<Node, readonly Node[]>();
  for (const node of integers) {
    const parameters = parametersOf(node.inputs[0]);
    if (parameters) replaced.set(node, onReals(node, parameters, graph, constants, names, nodeNames));
  }
  return { ...graph, constants, nodes: graph.nodes.flatMap((node) => replaced.get(node) ?? [node]) };
}

function isOnIntegers(graph: Graph, node: Node): boolean {
  const isExact =
    selects(roleOf(graph, node)) || [clip, concat, max, min, relu].some((each) => each.is(node));
  return isExact && isInteger(graph.values.get(node.inputs[0])?.dtype);
}

function isInteger(dtype: DType | undefined): dtype is 'int8' | 'uint8' {
  return dtype === 'int8' || dtype === 'uint8';
}

/** Names of a scale and a zero point ('' where left out). */
type Parameters = readonly [scale: string, zeroPoint: string];

/** Of each value of integers, those that it was quantized with, or else is dequantized with. */
function integerParameters({ nodes }: Graph): (name: string) => Parameters | undefined {
  const above = new Map<string, Parameters>();
  const below = new Map<string, Parameters>();
  for (const node of nodes) {
    const parameters = quantizeLinear.is(node) ? parametersOfNode(node) : above.get(node.inputs[0] ?? '');
    if (parameters) for (const output of node.outputs) above.set(output, parameters);
  }
  for (const node of nodes.toReversed()) {
    const parameters = dequantizeLinear.is(node) ? parametersOfNode(node) : below.get(node.outputs[0] ?? '');
    if (parameters && node.inputs[0]) below.set(node.inputs[0], parameters);
  }
  return (name) => above.get(name) ?? below.get(name);
}

function parametersOfNode({ inputs: [, scale = '', zeroPoint = ''] }: Node): Parameters {
  return [scale, zeroPoint];
}

function onReals(
  node: Node,
  [scaleName, zeroPointName]: Parameters,
  graph: Graph,
  constants: Map<string, Tensor>,
  names: Names,
  nodeNames: Names,
): Node[] {
  const dtype = graph.values.get(node.inputs[0])!.dtype;
  const scale = constantScalar(graph, scaleName) ?? NaN;
  const zero = zeroPointName === '' ? 0 : (constantScalar(graph, zeroPointName) ?? NaN);
  const constant = (wanted: string, tensor: Omit<Tensor, 'name'>): string => {
    const name = names.fresh(wanted);
    constants.set(name, { ...tensor, name });
    return name;
  };
  const real = (q: number): string =>
    constant(`${node.name}.bound`, {
      dtype: 'float32',
      shape: [],
      data: Float32Array.of((q - zero) * scale),
    });
  const before: Node[] = [];
  const inputs = node.inputs.map((input) => {
    // Bounds of Max, Min and Clip, in integers too.
    const bound = constantScalar(graph, input);
    if (bound !== undefined && graph.constants.get(input)?.dtype === dtype) return real(bound);
    if (graph.values.get(input)?.dtype !== dtype) return input;
    const output = names.fresh(`${input}.real`);
    const parameters = zeroPointName === '' ? [scaleName] : [scaleName, zeroPointName];
    before.push({
      name: nodeNames.fresh(`${node.name}.dequantize`),
      op: dequantizeLinear.op,
      inputs: [input, ...parameters],
      outputs: [output],
      attributes: {},
    });
    return output;
  });
  const output = names.fresh(`${node.name}.real`);
  const onReal: Node = relu.is(node)
    ? { ...node, op: clip.op, inputs: [...inputs, real(0)], outputs: [output] }
    : { ...node, inputs, outputs: [output] };
  const data = dtype === 'int8' ? new Int8Array(1) : new Uint8Array(1);
  return [
    ...before,
    onReal,
    {
      name: nodeNames.fresh(`${node.name}.quantize`),
      op: quantizeLinear.op,
      inputs: [
        output,
        scaleName,
        zeroPointName === ''
          ? constant(`${node.name}.zero_point`, { dtype, shape: [], data })
          : zeroPointName,
      ],
      outputs: node.outputs.slice(0, 1),
      attributes: {},
    },
  ];
}
