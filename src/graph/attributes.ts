/** Attributes and integer constants of nodes, with ONNX's defaults. */
import type { Graph, Node } from './graph.ts';

export function numberAttribute(node: Node, name: string, fallback: number): number {
  const value = node.attributes[name];
  return typeof value === 'number' ? value : fallback;
}

/** Elements of the constant called `name` as numbers, undefined where there is none. */
export function constantNumbers(graph: Graph, name: string | undefined): readonly number[] | undefined {
  const tensor = name ? graph.constants.get(name) : undefined;
  return tensor && Array.from(tensor.data, Number);
}

/** The one element of the constant called `name`, undefined where there is none or it has more. */
export function constantScalar(graph: Graph, name: string | undefined): number | undefined {
  const tensor = name ? graph.constants.get(name) : undefined;
  return tensor?.data.length === 1 ? Number(tensor.data[0]) : undefined;
}

/** `axis` counted from the front, undefined where it is outside the rank. */
export function resolveAxis(axis: number, rank: number): number | undefined {
  const resolved = axis < 0 ? axis + rank : axis;
  return Number.isInteger(axis) && resolved >= 0 && resolved < rank ? resolved : undefined;
}
