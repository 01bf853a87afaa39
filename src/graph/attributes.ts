/** Attributes and integer constants of nodes, with ONNX's defaults. */
import type { Graph, Node } from './graph.ts';
import { MAX_LIST } from './limits.ts';

export function numberAttribute(node: Node, name: string, fallback: number): number {
  const value = node.attributes[name];
  return typeof value === 'number' ? value : fallback;
}

export function textAttribute(node: Node, name: string, fallback: string): string {
  const value = node.attributes[name];
  return typeof value === 'string' ? value : fallback;
}

/**
 * Elements of the constant called `name`, a list of axes or the like; undefined where there is none, it is too long,
 * or not all are integers.
 */
export function constantNumbers(graph: Graph, name: string | undefined): readonly number[] | undefined {
  const tensor = name ? graph.constants.get(name) : undefined;
  if (!tensor || tensor.data.length > MAX_LIST) return undefined;
  const numbers = Array.from(tensor.data, Number);
  return numbers.every(Number.isInteger) ? numbers : undefined;
}

/** The one element of the constant called `name`, undefined where there is none or it has more. */
export function constantScalar(
  graph: Pick<Graph, 'constants'>,
  name: string | undefined,
): number | undefined {
  const tensor = name ? graph.constants.get(name) : undefined;
  return tensor?.data.length === 1 ? Number(tensor.data[0]) : undefined;
}

/** `axis` counted from the front, undefined where it is outside the rank. */
export function resolveAxis(axis: number, rank: number): number | undefined {
  const resolved = axis < 0 ? axis + rank : axis;
  return Number.isInteger(axis) && resolved >= 0 && resolved < rank ? resolved : undefined;
}
