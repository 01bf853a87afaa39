/**
 * One form for what opsets and exporters write in several: Octet's graphs are of opset 13 or later, in float32, and
 * know one way to average, to flatten and to clip. What each operator is brought to, its row says.
 */
import type { DType, Graph, Tensor, ValueInfo } from '../graph.ts';
import { indexGraph } from '../graph-index.ts';
import type { NormalizeContext } from '../operators/normalize-context.ts';
import { operatorOf } from '../operators/registry.ts';
import type { Problems } from '../problems.ts';
import { valueNames } from '../rewrite.ts';

/** Oldest opset that a normalized graph says it is of: Squeeze has its axes as an input, quantization is per axis. */
const OLDEST_FORM = 13;

/**
 * Rewrites old and odd forms; what is outside the supported subset goes to `problems`. Expects inferred shapes, which it
 * leaves to be inferred again.
 */
export function normalize(graph: Graph, problems: Problems): Graph {
  const index = indexGraph(graph);
  const names = valueNames(graph);
  const constants = new Map<string, Tensor>();
  for (const [name, tensor] of graph.constants)
    constants.set(name, { ...tensor, dtype: widened(tensor.dtype) });
  const context: NormalizeContext = {
    graph,
    problems,
    isRead: (name) => index.outputs.has(name) || index.readers(name).length > 0,
    constant(wanted, tensor) {
      const name = names.fresh(wanted);
      constants.set(name, { ...tensor, name });
      return name;
    },
    value: (wanted) => names.fresh(wanted),
  };
  const nodes = graph.nodes.flatMap((node) => {
    const row = operatorOf(graph, node);
    return row?.normalize && !problems.concern(node) ? row.normalize(node, context) : [node];
  });
  const widen = (info: ValueInfo): ValueInfo => ({ ...info, dtype: widened(info.dtype) });
  return {
    ...graph,
    opset: Math.max(OLDEST_FORM, graph.opset),
    nodes,
    constants,
    inputs: graph.inputs.map(widen),
    outputs: graph.outputs.map(widen),
    values: new Map([...graph.values].map(([name, info]) => [name, widen(info)])),
  };
}

/** Half floats are a way to store: Octet computes their models in float32. */
function widened(dtype: DType): DType {
  return dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype;
}
