/**
 * Pools of volumes [N, C, D, H, W] that look along the depth alone, or along height and width alone, as pools of images: [N, C, D, H·W] for the
 * first, [N, C·D, H, W] for the second. PyTorch writes local response normalization as a pool over channels, which it makes the depth.
 */
import type { Attribute, Graph, Node } from '../graph.ts';
import { averagePool } from '../operators/average-pool.ts';
import { concat } from '../operators/concat.ts';
import { gather } from '../operators/gather.ts';
import { lpPool } from '../operators/lp-pool.ts';
import { maxPool } from '../operators/max-pool.ts';
import { int64 } from '../operators/normalize-context.ts';
import type { OnnxOperator } from '../operators/operator.ts';
import { reshape } from '../operators/reshape.ts';
import { shape } from '../operators/shape.ts';
import { Names, valueNames } from '../rewrite.ts';

const pools: readonly OnnxOperator[] = [maxPool, averagePool, lpPool];

const lists = ['kernel_shape', 'strides', 'dilations'] as const;

/** Needs no shapes: kernels say of how many dimensions their inputs are. */
export function volumesToImages(graph: Graph): Graph {
  if (!graph.nodes.some(isFlat)) return graph;
  const names = valueNames(graph);
  const nodeNames = new Names(graph.nodes.map(({ name }) => name));
  const constants = new Map(graph.constants);
  const nodes: Node[] = [];
  const emit = (op: string, what: string, inputs: readonly string[], attributes = {}): string => {
    const output = names.fresh(what);
    nodes.push({ name: nodeNames.fresh(what), op, inputs, outputs: [output], attributes });
    return output;
  };
  const constant = (what: string, numbers: readonly number[]): string => {
    const name = names.fresh(what);
    constants.set(name, { ...int64(numbers), name });
    return name;
  };
  /** Sizes of some dimensions of a value, behind those that are given. */
  const sizes = (
    what: string,
    first: readonly number[],
    ...rest: (readonly [of: string, axes: readonly number[]])[]
  ) => {
    const parts = rest.map(([value, axes]) =>
      emit(gather.op, `${what}.sizes`, [
        emit(shape.op, `${what}.shape`, [value]),
        constant(`${what}.axes`, axes),
      ]),
    );
    return emit(concat.op, `${what}.to`, [constant(`${what}.first`, first), ...parts], { axis: 0 });
  };
  for (const node of graph.nodes) {
    if (!isFlat(node)) {
      nodes.push(node);
      continue;
    }
    const [volume] = node.inputs;
    const [output] = node.outputs;
    const { name } = node;
    const alongDepth = isPlain(node, 1) && isPlain(node, 2);
    const to = alongDepth
      ? constant(`${name}.image`, [0, 0, 0, -1])
      : sizes(`${name}.image`, [0, -1], [volume, [3, 4]]);
    const image = emit(reshape.op, `${name}.image`, [volume, to]);
    const pooled = names.fresh(`${output}.image`);
    nodes.push({
      ...node,
      inputs: [image],
      outputs: [pooled],
      attributes: imageAttributes(node, alongDepth ? [0, 1] : [1, 2]),
    });
    const back = alongDepth
      ? sizes(`${name}.volume`, [0, 0, 0], [volume, [3, 4]])
      : sizes(`${name}.volume`, [0], [volume, [1, 2]], [pooled, [2, 3]]);
    nodes.push({
      ...{ name: nodeNames.fresh(`${name}.volume`), op: reshape.op, inputs: [pooled, back] },
      ...{ outputs: [output], attributes: {} },
    });
  }
  return { ...graph, constants, nodes };
}

/** Whether a node is a pool of volumes that leaves the depth alone, or height and width. */
function isFlat(node: Node): boolean {
  const isOfVolumes = pools.some((row) => row.is(node)) && listOf(node, 'kernel_shape')?.length === 3;
  return (
    isOfVolumes && node.outputs.length === 1 && (isPlain(node, 0) || (isPlain(node, 1) && isPlain(node, 2)))
  );
}

function listOf({ attributes }: Node, name: string): readonly number[] | undefined {
  const value = attributes[name];
  return Array.isArray(value) ? (value as number[]) : undefined;
}

/** Whether the window has one element along an axis of the volume, and takes each. */
function isPlain(node: Node, axis: number): boolean {
  const pads = listOf(node, 'pads') ?? [];
  const isOne = (name: string) => (listOf(node, name)?.[axis] ?? 1) === 1;
  return isOne('kernel_shape') && isOne('strides') && !pads[axis] && !pads[axis + 3];
}

function imageAttributes(node: Node, axes: readonly [number, number]): Node['attributes'] {
  const entries = Object.entries(node.attributes).map(([name, value]): [string, Attribute] => {
    const list = listOf(node, name);
    if (list && name === 'pads')
      return [name, [...axes, ...axes.map((axis) => axis + 3)].map((i) => list[i])];
    return [name, list && lists.some((each) => each === name) ? axes.map((axis) => list[axis]) : value];
  });
  return Object.fromEntries(entries);
}
