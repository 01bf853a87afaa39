/** What a row's `normalize` sees and does, and what several of them share. */
import { dtypeFromNumber } from '../dtypes.ts';
import type { Attribute, Dimension, Graph, Node, Tensor, ValueInfo } from '../graph.ts';
import type { Problems } from '../problems.ts';

export interface NormalizeContext {
  readonly graph: Graph;
  readonly problems: Problems;
  isRead(value: string): boolean;
  /** Adds a constant under a name like `wanted`, and returns its name. */
  constant(wanted: string, tensor: Omit<Tensor, 'name'>): string;
  /** A name for a value that is not taken. */
  value(wanted: string): string;
}

export function without(node: Node, ...names: readonly string[]): Record<string, Attribute> {
  return Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name)));
}

export function shapeOf(
  { graph }: NormalizeContext,
  name: string | undefined,
): readonly Dimension[] | undefined {
  return graph.values.get(name ?? '')?.shape;
}

/** Type and shape of a value or constant. */
export function typed({ graph }: NormalizeContext, name = ''): ValueInfo | Tensor | undefined {
  return graph.values.get(name) ?? graph.constants.get(name);
}

export function firstOutputOnly(node: Node, context: NormalizeContext, what: string): Node {
  if (node.outputs.slice(1).some((name) => name !== '' && context.isRead(name))) {
    context.problems.node(node, `${what} are read, which is not supported: only the first output is`);
  }
  return { ...node, outputs: node.outputs.slice(0, 1) };
}

export function int64(values: readonly number[]): Omit<Tensor, 'name'> {
  return { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) };
}

export function float32List(values: readonly number[]): Omit<Tensor, 'name'> {
  return { dtype: 'float32', shape: [values.length], data: Float32Array.from(values) };
}

export function float32Scalar(value: number): Omit<Tensor, 'name'> {
  return { dtype: 'float32', shape: [], data: Float32Array.of(value) };
}

/** Axes that older opsets have as an attribute, as the input that they are since. */
export function axesAsInput(node: Node, context: NormalizeContext): Node {
  const axes = node.attributes.axes;
  if (!Array.isArray(axes)) return node;
  const name = context.constant(`${node.name}.axes`, int64(axes as number[]));
  return { ...node, inputs: [node.inputs[0], name], attributes: without(node, 'axes') };
}

/** The element type that an attribute names by ONNX's number. */
export function dtypeAttribute(node: Node, name: string): ReturnType<typeof dtypeFromNumber> {
  const value = node.attributes[name];
  return typeof value === 'number' ? dtypeFromNumber(value) : undefined;
}
