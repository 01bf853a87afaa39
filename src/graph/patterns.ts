/** Groups of nodes that become one thing when quantized. Used by the quantizer and by lowering, so that both see the same. */
import { constantScalar } from './attributes.ts';
import type { GraphIndex } from './graph-index.ts';
import type { Graph, Node } from './graph.ts';
import { clip, clipBounds } from './operators/clip.ts';
import { identity } from './operators/identity.ts';
import { dropout } from './operators/dropout.ts';
import type { Binary, Unary } from './operators/operator.ts';
import { operatorOf } from './operators/registry.ts';
import { dynamicQuantizeLinear } from './operators/dynamic-quantize-linear.ts';
import { quantizeLinear } from './operators/quantize-linear.ts';
import { relu } from './operators/relu.ts';

/** Clamps that follow a value. */
export interface ClampChain {
  /** The Relu and Clip nodes (and Identity, Dropout between them), in order. */
  readonly nodes: readonly Node[];
  /** The value behind the last of them: the one that is quantized. */
  readonly output: string;
  /** Real bounds that the chain narrows the value to. */
  readonly lo: number;
  readonly hi: number;
}

/**
 * Follows `value` through the Relu and constant Clip nodes behind it, as long as nothing else reads what is between
 * and it is no output of the graph. Without any, the chain is empty and ends at `value`.
 */
export function followClamps(index: GraphIndex, value: string): ClampChain {
  const nodes: Node[] = [];
  let output = value;
  let [lo, hi] = [-Infinity, Infinity];
  for (;;) {
    const node = index.onlyReader(output);
    const bounds = node && clampBounds(index, node);
    if (!bounds) return { nodes, output, lo, hi };
    nodes.push(node);
    output = node.outputs[0]!;
    const clamp = (bound: number) => Math.min(bounds[1], Math.max(bounds[0], bound));
    [lo, hi] = [clamp(lo), clamp(hi)];
  }
}

function clampBounds({ graph }: GraphIndex, node: Node): readonly [number, number] | undefined {
  if (identity.is(node) || dropout.is(node)) return [-Infinity, Infinity];
  if (relu.is(node)) return [0, Infinity];
  return clip.is(node) ? clipBounds(node, (name) => constantScalar(graph, name)) : undefined;
}

/** An element-wise function of one value, perhaps of several nodes: SiLU is `x · Sigmoid(x)`. */
export interface UnaryRegion {
  /** The value it is a function of. */
  readonly input: string;
  readonly output: string;
  /** In topological order. */
  readonly nodes: readonly Node[];
  /** The function, in float64. */
  apply(x: number): number;
}

/** Most nodes in a region: several times what an activation function written out has. */
const MAX_REGION = 64;

/**
 * The largest element-wise function of a single value that ends in `node`, undefined where there is none. Inner values are
 * read inside the region only, and other operands are constants of one element.
 */
export function unaryRegion(index: GraphIndex, node: Node): UnaryRegion | undefined {
  if (!isElementwise(index, node)) return undefined;
  const inside = new Set([node]);
  let best: { readonly input: string; readonly nodes: readonly Node[] } | undefined;
  while (inside.size <= MAX_REGION) {
    const open = new Set([...inside].flatMap((each) => variables(index, each)));
    for (const each of inside) open.delete(each.outputs[0]);
    if (open.size === 1) {
      const nodes = [...inside].sort((a, b) => index.position(a) - index.position(b));
      best = { input: [...open][0], nodes };
    }
    // Take in the latest producer whose readers are all inside; the order makes them so one after the other.
    const next = [...open]
      .filter(
        (value) => !index.outputs.has(value) && index.readers(value).every((reader) => inside.has(reader)),
      )
      .map((value) => index.producer(value))
      .filter((producer) => producer !== undefined && isElementwise(index, producer))
      .sort((a, b) => index.position(b!) - index.position(a!))[0];
    if (!next) break;
    inside.add(next);
  }
  if (!best) return undefined;
  const { input, nodes } = best;
  const steps = nodes.map((each) => compile(index, each));
  return {
    input,
    output: node.outputs[0],
    nodes,
    apply(x) {
      const values = new Map([[input, x]]);
      let result = x;
      for (const step of steps) result = step(values);
      return result;
    },
  };
}

function isElementwise({ graph }: GraphIndex, node: Node): boolean {
  if (unaryFunction(graph, node)) return true;
  return (
    binaryFunction(graph, node) !== undefined &&
    node.inputs.every((name) => !graph.constants.has(name) || constantScalar(graph, name) !== undefined)
  );
}

/** Inputs of an element-wise node that are not constant. */
function variables({ graph }: GraphIndex, node: Node): string[] {
  return node.inputs.filter((name) => name !== '' && !graph.constants.has(name));
}

function compile({ graph }: GraphIndex, node: Node): (values: Map<string, number>) => number {
  const output = node.outputs[0];
  const operand = (name: string): ((values: Map<string, number>) => number) => {
    const constant = constantScalar(graph, name);
    return constant === undefined ? (values) => values.get(name)! : () => constant;
  };
  const [a, b] = node.inputs.map(operand);
  const unary = unaryFunction(graph, node);
  const binary = binaryFunction(graph, node);
  return (values) => {
    const result = unary ? unary(a(values)) : binary!(a(values), b(values));
    values.set(output, result);
    return result;
  };
}

/** Whether values of the graph are quantized. */
export function isQuantized({ nodes }: Pick<Graph, 'nodes'>): boolean {
  return nodes.some((node) => quantizeLinear.is(node) || dynamicQuantizeLinear.is(node));
}

/** The function that `node` applies to each element of its input, undefined where it is not of one input alone. */
export function unaryFunction(graph: Graph, node: Node): Unary | undefined {
  return operatorOf(graph, node)?.unary?.(node, (name) => constantScalar(graph, name));
}

/** The function of two numbers that an arithmetic node of two inputs applies, undefined for other nodes. */
export function binaryFunction(graph: Graph, node: Node): Binary | undefined {
  return node.inputs.length === 2 ? operatorOf(graph, node)?.binary : undefined;
}
