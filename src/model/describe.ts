/** What is in a model file: `octet inspect`. */
import type { Graph } from '../graph/graph.ts';
import { dequantizeLinear } from '../graph/operators/dequantize-linear.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import { operatorOf } from '../graph/operators/registry.ts';
import { isQuantized } from '../graph/patterns.ts';
import { numericProduct } from '../graph/shapes.ts';
import { check } from '../arguments.ts';
import { graphSchema } from '../onnx/graph-schema.ts';

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

/**
 * What a graph takes, gives and holds, layer by layer.
 * @throws {InputError} no graph
 */
export function describeModel(graph: Graph): ModelDescription {
  check('describeModel', { graph: graphSchema }, { graph });
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node])));
  /** Shape of a constant, or of one behind its DequantizeLinear. */
  const constantShape = (name: string | undefined): readonly number[] | undefined => {
    if (!name) return undefined;
    const producer = producers.get(name);
    const source = dequantizeLinear.is(producer) ? producer.inputs[0] : name;
    return graph.constants.get(source)?.shape;
  };
  const layers = graph.nodes
    .filter((node) => !quantizeLinear.is(node) && !dequantizeLinear.is(node))
    .map((node): LayerDescription => {
      const shape = graph.values.get(node.outputs[0])?.shape ?? [];
      const row = operatorOf(graph, node);
      const operands = (row?.learned ?? []).map((index) => constantShape(node.inputs[index]));
      const weights = operands.find((operand) => operand !== undefined);
      return {
        name: node.name,
        op: node.op,
        shape,
        parameters: operands.reduce((sum, operand) => sum + (operand ? numericProduct(operand) : 0), 0),
        macs: (weights && row?.macs?.(shape, weights)) ?? 0,
      };
    });
  const list = (values: Graph['inputs']) => values.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  return {
    name: graph.name,
    opset: graph.opset,
    quantized: isQuantized(graph),
    inputs: list(graph.inputs),
    outputs: list(graph.outputs),
    metadata: Object.fromEntries(graph.metadata),
    layers,
    parameters: layers.reduce((sum, { parameters }) => sum + parameters, 0),
    macs: layers.reduce((sum, { macs }) => sum + macs, 0),
    constantBytes: [...graph.constants.values()].reduce((sum, { data }) => sum + data.byteLength, 0),
  };
}
