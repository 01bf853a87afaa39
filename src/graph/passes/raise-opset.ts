import type { Graph, Tensor } from '../graph.ts';
import { operatorOf } from '../operators/registry.ts';
import { int64, without } from '../operators/normalize-context.ts';
import { split } from '../operators/split.ts';
import { valueNames } from '../rewrite.ts';

/**
 * The same model in a later opset: axes that went from an attribute to an input move there.
 *
 * @returns undefined where a node has no such form
 */
export function raiseOpset(graph: Graph, opset: number): Graph | undefined {
  if (graph.opset >= opset) return graph;
  const names = valueNames(graph);
  const constants = new Map<string, Tensor>(graph.constants);
  const nodes: Graph['nodes'][number][] = [];
  for (const node of graph.nodes) {
    const attributes = operatorOf(graph, node)?.attributes ?? {};
    const gone = Object.keys(node.attributes).filter((name) => {
      const { until } = attributes[name] ?? {};
      return until !== undefined && until <= opset;
    });
    // A Split into equal parts says how many since opset 18.
    if (split.is(node) && node.inputs.length < 2) return undefined;
    if (gone.length === 0) {
      nodes.push(node);
      continue;
    }
    const { axes } = node.attributes;
    if (gone.join() !== 'axes' || !Array.isArray(axes) || node.inputs.length !== 1) return undefined;
    const name = names.fresh(`${node.name}.axes`);
    constants.set(name, { name, ...int64(axes as number[]) });
    nodes.push({ ...node, inputs: [node.inputs[0], name], attributes: without(node, 'axes') });
  }
  return { ...graph, opset, nodes, constants };
}
