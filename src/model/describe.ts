/** What is in a model file: `octet info`. */
import type { Graph, Node } from '../graph/graph.ts';

export interface LayerDescription {
  readonly name: string;
  readonly op: string;
  /** ONNX shape of its first output, the batch as in the file. */
  readonly shape: readonly (number | string)[];
  readonly parameters: number;
  /** Multiply-adds for one image; of convolutions and dense layers only. */
  readonly macs: number;
}

export interface ModelDescription {
  readonly name: string;
  readonly opset: number;
  /** Whether it has quantized values, so that Octet can run it. */
  readonly quantized: boolean;
  readonly inputs: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly (number | string)[];
  }[];
  readonly outputs: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly (number | string)[];
  }[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Every node but quantization and dequantization, in order. */
  readonly layers: readonly LayerDescription[];
  readonly parameters: number;
  readonly macs: number;
  /** Bytes of all constants as decoded: half floats count as 4 bytes. */
  readonly constantBytes: number;
}

/** Operators whose constant operands are learned. */
const LEARNED: ReadonlyMap<string, readonly number[]> = new Map([
  ['Conv', [1, 2]],
  ['Gemm', [1, 2]],
  ['MatMul', [0, 1]],
  ['BatchNormalization', [1, 2]],
]);

export function describeModel(graph: Graph): ModelDescription {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node])));
  /** Shape of a constant, or of one behind its DequantizeLinear. */
  const constantShape = (name: string | undefined): readonly number[] | undefined => {
    if (!name) return undefined;
    const producer = producers.get(name);
    const source = producer?.op === 'DequantizeLinear' ? producer.inputs[0] : name;
    return graph.constants.get(source)?.shape;
  };
  const layers = graph.nodes
    .filter(({ op }) => op !== 'QuantizeLinear' && op !== 'DequantizeLinear')
    .map((node): LayerDescription => {
      const shape = graph.values.get(node.outputs[0])?.shape ?? [];
      const operands = (LEARNED.get(node.op) ?? []).map((index) => constantShape(node.inputs[index]));
      return {
        name: node.name,
        op: node.op,
        shape,
        parameters: operands.reduce((sum, operand) => sum + (operand ? product(operand) : 0), 0),
        macs: macsOf(
          node,
          shape,
          operands.find((operand) => operand !== undefined),
        ),
      };
    });
  const list = (values: Graph['inputs']) => values.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  return {
    name: graph.name,
    opset: graph.opset,
    quantized: graph.nodes.some(({ op }) => op === 'QuantizeLinear'),
    inputs: list(graph.inputs),
    outputs: list(graph.outputs),
    metadata: Object.fromEntries(graph.metadata),
    layers,
    parameters: layers.reduce((sum, { parameters }) => sum + parameters, 0),
    macs: layers.reduce((sum, { macs }) => sum + macs, 0),
    constantBytes: [...graph.constants.values()].reduce((sum, { data }) => sum + data.byteLength, 0),
  };
}

function macsOf(
  node: Node,
  output: readonly (number | string)[],
  weights: readonly number[] | undefined,
): number {
  if (!weights) return 0;
  const perImage = output.slice(1).filter((size) => typeof size === 'number');
  if (node.op === 'Conv') return product(perImage) * product(weights.slice(1));
  if (node.op === 'Gemm') return product(weights);
  if (node.op === 'MatMul') return product(perImage) * (weights.at(-2) ?? 1);
  return 0;
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1);
}
