/**
 * Views of each image by strides, which PyTorch's dynamo exporter writes as a Gather from all elements of the batch, at indices that it computes
 * from the batch's size: `n · elements + offset`. They are a Gather from each image's own elements; a Reshape where the offsets just count.
 */
import { indexGraph } from '../graph-index.ts';
import type { Dimension, Graph, Node, Tensor } from '../graph.ts';
import { add } from '../operators/add.ts';
import { gather } from '../operators/gather.ts';
import { mul } from '../operators/mul.ts';
import { int64 } from '../operators/normalize-context.ts';
import type { Shape } from '../operators/operator.ts';
import { range } from '../operators/range.ts';
import { operatorOf } from '../operators/registry.ts';
import { reshape } from '../operators/reshape.ts';
import { unsqueeze } from '../operators/unsqueeze.ts';
import { Problems } from '../problems.ts';
import { Names, valueNames } from '../rewrite.ts';

/** Indices `n · stride + offsets`, n from 0 to `count`: of [count, 1, …] with [1, …], or n alone. */
interface Indices {
  readonly count: Dimension | undefined;
  readonly stride: number;
  readonly offsets: Pick<Tensor, 'shape' | 'data'>;
}

/**
 * Expects settled shapes; those of what is rewritten, and of what follows, are unknown before and are left to be inferred.
 *
 * @param settle the pass of that name, which is in another module of a page than this one
 */
export function stridedViews(graph: Graph, settle: (graph: Graph, problems: Problems) => Graph): Graph {
  if (!graph.nodes.some(range.is)) return graph;
  const index = indexGraph(graph);
  const sizeOf = (name: string): Dimension | undefined => elementsOf(name)?.[0];
  const elementsOf = (name: string | undefined): Shape | undefined => {
    const constant = graph.constants.get(name ?? '');
    if (constant) return Array.from(constant.data, Number);
    const node = index.producer(name ?? '');
    const numbers = (list: string | undefined) =>
      elementsOf(list)?.filter((size) => typeof size === 'number');
    return (
      node && operatorOf(graph, node)?.sizes?.(node, { graph, elements: elementsOf, numbers }, graph.values)
    );
  };
  const scalar = (name: string): number | undefined => {
    const tensor = graph.constants.get(name);
    return tensor?.data.length === 1 ? Number(tensor.data[0]) : undefined;
  };
  /** Undefined where a value is no such list of indices. */
  const indicesOf = (name: string): Indices | undefined => {
    const constant = graph.constants.get(name);
    if (constant) return { count: undefined, stride: 0, offsets: constant };
    const node = index.producer(name);
    if (range.is(node)) {
      const [start, limit, delta] = node.inputs;
      if (scalar(start) !== 0 || scalar(delta) !== 1) return undefined;
      return { count: sizeOf(limit), stride: 1, offsets: { shape: [1], data: Int32Array.of(0) } };
    }
    if (unsqueeze.is(node)) {
      const inner = indicesOf(node.inputs[0]);
      const axes = Array.from(graph.constants.get(node.inputs[1])?.data ?? [], Number);
      const isBehind = axes.length > 0 && axes.every((axis, i) => axis === i + 1);
      if (!isBehind || inner?.offsets.shape.length !== 1) return undefined;
      return { ...inner, offsets: { ...inner.offsets, shape: [1, ...axes.map(() => 1)] } };
    }
    if (mul.is(node)) {
      const factor = scalar(node.inputs[1]) ?? scalar(node.inputs[0]);
      const inner = indicesOf(node.inputs[scalar(node.inputs[1]) === undefined ? 1 : 0]);
      if (factor === undefined || inner?.offsets.data.length !== 1) return undefined;
      const data = Int32Array.of(Number(inner.offsets.data[0]) * factor);
      return { ...inner, stride: inner.stride * factor, offsets: { ...inner.offsets, data } };
    }
    if (!add.is(node)) return undefined;
    const [a, b] = node.inputs.map(indicesOf);
    const offsets = a && b && sumOf(a.offsets, b.offsets);
    if (!offsets || (a.count !== undefined && b.count !== undefined)) return undefined;
    return { count: a.count ?? b.count, stride: a.stride + b.stride, offsets };
  };

  /** Whether a value's first dimension is the open one that `count` names: by its own name, or, where reshapes hide that, at two sizes. */
  const isWholeBatch = (count: Dimension | undefined, value: string): boolean => {
    if (typeof count !== 'string') return false;
    if (graph.values.get(value)?.shape[0] === count) return true;
    return [2, 3].every((size) => {
      const inputs = graph.inputs.map((input) => ({
        ...input,
        shape: input.shape.map((dimension) => (dimension === count ? size : dimension)),
      }));
      // A size that comes of a product or a quotient with the batch grows in step with it: two tell.
      return settle({ ...graph, inputs }, new Problems()).values.get(value)?.shape[0] === size;
    });
  };

  const names = valueNames(graph);
  const nodeNames = new Names(graph.nodes.map(({ name }) => name));
  const constants = new Map(graph.constants);
  const constant = (what: string, numbers: readonly number[]): string => {
    const name = names.fresh(what);
    constants.set(name, { ...int64(numbers), name });
    return name;
  };
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const flat = index.producer(node.inputs[0]);
    if (!gather.is(node) || Number(node.attributes.axis ?? 0) !== 0 || !reshape.is(flat)) return [node];
    const [, ...image] = graph.values.get(flat.inputs[0])?.shape ?? [];
    const target = graph.constants.get(flat.inputs[1]);
    const elements = image.reduce<number>((product, size) => product * Number(size), 1);
    if (target?.data.length !== 1 || !Number.isSafeInteger(elements)) return [node];
    const indices = indicesOf(node.inputs[1]);
    if (indices?.stride !== elements || !isWholeBatch(indices.count, flat.inputs[0])) return [node];
    const [first, ...sizes] = indices.offsets.shape;
    const offsets = Array.from(indices.offsets.data, Number);
    if (first !== 1 || offsets.some((offset) => offset < 0 || offset >= elements)) return [node];

    const { name } = node;
    const result: Node[] = [];
    const emit = (
      op: string,
      inputs: readonly string[],
      attributes: Node['attributes'],
      output?: string,
    ): string => {
      const outputs = [output ?? names.fresh(`${name}.view`)];
      result.push({ name: nodeNames.fresh(`${name}.view`), op, inputs, outputs, attributes });
      return outputs[0];
    };
    let view = flat.inputs[0];
    if (!offsets.every((offset, i) => offset === i) || offsets.length !== elements) {
      view = emit(reshape.op, [view, constant(`${name}.elements`, [0, elements])], {});
      view = emit(gather.op, [view, constant(`${name}.offsets`, offsets)], { axis: 1 });
    }
    emit(reshape.op, [view, constant(`${name}.sizes`, [0, ...sizes])], {}, node.outputs[0]);
    return result;
  });
  return nodes.length === graph.nodes.length && nodes.every((node, i) => node === graph.nodes[i])
    ? graph
    : { ...graph, constants, nodes };
}

/** Sum of two tensors of the same rank, with broadcasting; undefined for others. */
function sumOf(a: Indices['offsets'], b: Indices['offsets']): Indices['offsets'] | undefined {
  if (a.shape.length !== b.shape.length) return undefined;
  const shape = a.shape.map((size, axis) => Math.max(size, b.shape[axis]));
  const fits = (other: readonly number[]) => other.every((size, axis) => size === 1 || size === shape[axis]);
  if (!fits(a.shape) || !fits(b.shape)) return undefined;
  const at = ({ shape: own, data }: Indices['offsets'], place: readonly number[]) =>
    Number(data[own.reduce((sum, size, axis) => sum * size + (size === 1 ? 0 : place[axis]), 0)]);
  const count = shape.reduce((product, size) => product * size, 1);
  const data = Int32Array.from({ length: count }, (_, i) => {
    const place = [...shape];
    for (let axis = shape.length - 1, rest = i; axis >= 0; rest = Math.floor(rest / shape[axis--]))
      place[axis] = rest % shape[axis];
    return at(a, place) + at(b, place);
  });
  return { shape, data };
}
