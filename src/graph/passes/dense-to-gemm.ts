import { indexGraph } from '../graph-index.ts';
import type { Graph, Node, Tensor } from '../graph.ts';
import { add } from '../operators/add.ts';
import { gemm } from '../operators/gemm.ts';
import { matMul } from '../operators/mat-mul.ts';
import { valueNames } from '../rewrite.ts';

/**
 * Brings dense layers into one form, Gemm with weights [outputs, inputs] (transB = 1), alpha = beta = 1 and a bias of
 * [outputs]: MatMul of a matrix with constant weights, with the Add of a constant behind it as its bias, and Gemm with
 * constant weights. Expects inferred shapes.
 */
export function denseToGemm(graph: Graph): Graph {
  const index = indexGraph(graph);
  const names = valueNames(graph);
  const constants = new Map(graph.constants);
  const merged = new Set<Node>();

  const store = (source: Tensor, change: Pick<Tensor, 'shape' | 'data'>): string => {
    // Replaced in place where nothing else reads it, so that layers keep the names of their weights.
    const name = index.readers(source.name).length === 1 ? source.name : names.fresh(source.name);
    constants.set(name, { name, dtype: 'float32', ...change });
    return name;
  };

  const nodes = graph.nodes.map((node): Node => {
    if (!gemm.is(node) && !matMul.is(node)) return node;
    const [input = '', weightName = '', biasName = ''] = node.inputs;
    const weights = graph.constants.get(weightName);
    const isMatrix = graph.values.get(input)?.shape.length === 2;
    if (!isMatrix || weights?.shape.length !== 2 || !(weights.data instanceof Float32Array)) return node;
    if (gemm.number(node, 'transA') !== 0) return node;

    const alpha = gemm.number(node, 'alpha');
    const beta = gemm.number(node, 'beta');
    const transposed = gemm.number(node, 'transB') !== 0;
    const outputs = weights.shape[transposed ? 0 : 1];
    const changed = alpha !== 1 || !transposed;
    const weight = changed ? store(weights, orient(weights, transposed, alpha)) : weightName;

    let bias = biasName;
    let [output] = node.outputs as [string];
    if (biasName !== '') {
      const tensor = graph.constants.get(biasName);
      const values = tensor && biasValues(tensor, outputs, beta);
      if (!values) return node;
      if (tensor.shape.length !== 1 || values !== tensor.data) {
        bias = store(tensor, { shape: [outputs], data: values });
      }
    } else {
      const sum = index.onlyReader(output);
      const other = add.is(sum) ? sum.inputs.find((name) => name !== output) : undefined;
      const tensor = graph.constants.get(other ?? '');
      const values = tensor && biasValues(tensor, outputs, 1);
      if (sum && tensor && values) {
        bias =
          values === tensor.data && tensor.shape.length === 1
            ? tensor.name
            : store(tensor, { shape: [outputs], data: values });
        merged.add(sum);
        output = sum.outputs[0]!;
      }
    }
    return {
      ...node,
      op: gemm.op,
      inputs: bias === '' ? [input, weight] : [input, weight, bias],
      outputs: [output],
      attributes: { transB: 1 },
    };
  });
  return { ...graph, constants, nodes: nodes.filter((node) => !merged.has(node)) };
}

/** Weights as [outputs, inputs], times alpha. */
function orient({ shape, data }: Tensor, transposed: boolean, alpha: number): Pick<Tensor, 'shape' | 'data'> {
  const [rows, columns] = shape as [number, number];
  const values = data as Float32Array;
  if (transposed) return { shape, data: values.map((value) => value * alpha) };
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = values[row * columns + column] * alpha;
    }
  }
  return { shape: [columns, rows], data: out };
}

/** The bias as one value an output, times beta; undefined where it differs from row to row. */
function biasValues({ shape, data }: Tensor, outputs: number, beta: number): Float32Array | undefined {
  if (!(data instanceof Float32Array) || shape.length > 2 || shape.slice(0, -1).some((dim) => dim !== 1))
    return undefined;
  if (data.length === outputs) return beta === 1 ? data : data.map((value) => value * beta);
  return data.length === 1 ? new Float32Array(outputs).fill(data[0] * beta) : undefined;
}
