/** Nodes of a host stage: what they read, and whether their rows can compute them. */
import { ModelError } from '../errors.ts';
import { resolveAxis } from '../graph/attributes.ts';
import type { FloatKernels } from '../graph/float-kernels.ts';
import type { Dimension, DType, Graph, Node } from '../graph/graph.ts';
import { shapeContext } from '../graph/infer-shapes.ts';
import { MAX_LIST } from '../graph/limits.ts';
import type { Known, Value } from '../graph/operators/operator.ts';
import type { Draft } from './draft.ts';
import type { HostOperation } from './program.ts';

export { plainFloatKernels } from '../graph/float-kernels.ts';
export type { FloatConvolution, FloatKernels, FloatProduct } from '../graph/float-kernels.ts';

/** The part of a `HostOperation` that computes. */
type HostNode = Pick<HostOperation, 'node' | 'row' | 'operands' | 'index' | 'isPerImage'>;

/** Values of a host stage's tensor. */
export type HostData = Float32Array | Int32Array;

/** How the elements of each type that a host stage passes on are held in a row's values. */
const held: Readonly<Partial<Record<DType, (data: HostData) => Value['data']>>> = {
  float32: (data) => (data instanceof Float32Array ? data : Float32Array.from(data)),
  int8: (data) => Int8Array.from(data),
  uint8: (data) => Uint8Array.from(data),
  int16: (data) => Int16Array.from(data),
  uint16: (data) => Uint16Array.from(data),
  int32: (data) => Int32Array.from(data),
  int64: (data) => BigInt64Array.from(data, BigInt),
  bool: (data) => Uint8Array.from(data),
  int4: (data) => Int8Array.from(data),
  uint4: (data) => Uint8Array.from(data),
  int2: (data) => Int8Array.from(data),
  uint2: (data) => Uint8Array.from(data),
};

/** Whether a host stage passes values of the type on. */
export function isHostType(dtype: DType): boolean {
  return held[dtype] !== undefined;
}

/**
 * Computes the node's output for `batch` images into `to`.
 *
 * @param result type and shape of the output, its batch first where it has one
 * @param data of an input of the operation, by its position
 * @throws {ModelError} the row gives no such values, or integers beyond 32 bits
 */
export function computeHost(
  host: HostNode,
  result: Known,
  batch: number,
  data: (input: number) => HostData,
  to: HostData,
  kernels?: FloatKernels,
): void {
  const { node } = host;
  const fail = (reason: string): never => {
    throw new ModelError([{ node: node.name, op: node.op, reason }]);
  };
  const runs = host.isPerImage ? batch : 1;
  const images = batch / runs;
  const length = to.length / runs;
  for (let run = 0; run < runs; run++) {
    const value = hostValue(host, result, images, kernels, (input) => {
      const all = data(input);
      return all.subarray((run * all.length) / runs, ((run + 1) * all.length) / runs);
    });
    if (value?.data.length !== length) {
      return fail(`it has no value for ${host.isPerImage ? 'an image' : `a batch of ${batch}`}`);
    }
    const part = to.subarray(run * length, (run + 1) * length);
    if (value.data instanceof Float32Array || result.dtype !== 'int64') {
      part.set(value.data as HostData);
      continue;
    }
    for (let i = 0; i < length; i++) {
      const integer = Number(value.data[i]);
      if (integer !== (integer | 0)) return fail(`it gives ${integer}, which 32 bits do not hold`);
      part[i] = integer;
    }
  }
}

function hostValue(
  { node, row, operands, index, isPerImage }: HostNode,
  { dtype, shape }: Known,
  batch: number,
  kernels: FloatKernels | undefined,
  data: (input: number) => HostData,
): Value | undefined {
  const inputs = operands.map((operand): Value | undefined => {
    if (!operand || 'value' in operand) return operand?.value;
    const { dtype } = operand;
    return {
      dtype,
      shape: sizesOf(operand.shape, batch, isPerImage),
      data: held[dtype]!(data(operand.input)),
    };
  });
  return row.evaluate?.({
    node,
    inputs,
    output: index,
    dtype,
    shape: sizesOf(shape, batch, isPerImage),
    numbers: (name) => numbersOf(node, operands, name),
    kernels,
  });
}

/**
 * Why a node cannot be computed on the host for any batch, undefined where it can.
 *
 * @param result type and shape of the output, its batch first where it has one
 * @param hasFixedBatch the file says that the batch is 1: what it does to the batch, it does to one image
 * @param draft counts the lists of places that moves make
 */
export function hostProblem(
  host: HostNode,
  result: Known,
  graph: Graph,
  hasFixedBatch: boolean,
  draft: Pick<Draft, 'list'>,
): string | undefined {
  const { row, operands, isPerImage } = host;
  const { shape } = result;
  const shapes = operands.flatMap((operand) => (operand && 'input' in operand ? [operand.shape] : []));
  for (const each of [shape, ...shapes]) {
    const sizes = sizesOf(each, 1, isPerImage);
    if (!sizes.every((size) => size > 0)) return `[${each}] has sizes behind the batch that are not fixed`;
    if (!isPerImage && each.length === 0) return 'it has no batch';
    if (!(elements(sizes) <= MAX_ELEMENTS))
      return `[${each}] has more than ${MAX_ELEMENTS} elements an image`;
  }
  // Two sizes of the batch show that it stays where it is.
  for (const batch of isPerImage ? [1] : [2, 3]) {
    const sizes = sizesOf(shape, batch, isPerImage);
    // What renames has lost the input that its shape is computed from.
    const isKept =
      row.role === 'renames'
        ? elements(sizesOf(shapes[0], batch, isPerImage)) === elements(sizes)
        : shapeOf(host, batch, graph)?.join() === sizes.join();
    if (!isKept && row.hasDynamicShape)
      return 'how many results it has depends on values: end the model before it, and compute it from the outputs (nonMaxSuppression of octetjs/vision selects boxes)';
    if (!isKept) return `it does not keep the batch as the first dimension of [${shape}]`;
  }
  if (row.move) draft.list(shape.slice(1).reduce<number>((sum, size) => sum + Number(size), 0));
  if (!(isPerImage && hasFixedBatch) && !keepsImages(host, shape))
    return 'what it makes of an image depends on the others of the batch';
  // No image at all shows whether the parameters are given, at no cost; of what has no batch, zeros do.
  const batch = isPerImage ? 1 : 0;
  if (batch === 1 && ![shape, ...shapes].every((each) => elements(sizesOf(each, 1, true)) <= MAX_TRIED))
    return undefined;
  const value = hostValue(host, result, batch, undefined, (input) => {
    const operand = operands.find((each) => each && 'input' in each && each.input === input);
    const sizes = operand && 'shape' in operand ? sizesOf(operand.shape, batch, isPerImage) : [];
    return new Float32Array(elements(sizes));
  });
  return value?.dtype === result.dtype
    ? undefined
    : 'its parameters must be constants within what Octet supports';
}

/** Elements of one image that a host stage reads or writes at most: a float32 each, 512 MiB. */
const MAX_ELEMENTS = 2 ** 27;

/** Elements of what is computed at load to see whether it can be. */
const MAX_TRIED = 2 ** 16;

/** Whether each image of the batch is computed from itself, as far as the node's place of work shows it. */
function keepsImages({ node, row, operands, isPerImage }: HostNode, shape: readonly Dimension[]): boolean {
  const [first] = operands;
  if (!first || 'value' in first) return true;
  if (!row.move) {
    const rank = first.shape.length;
    const axes =
      row.along?.(node, rank, (name) => numbersOf(node, operands, name)?.[0]) ??
      ('axis' in row.attributes ? [row.number(node, 'axis')] : []);
    return axes.every((axis) => resolveAxis(axis, rank) !== 0);
  }
  if (isPerImage) return true;
  const from = ofBatch(first.shape, 2);
  const rule = row.move(node, {
    from,
    to: ofBatch(shape, 2),
    numbers: (name) => numbersOf(node, operands, name),
    scalar: (name) => numbersOf(node, operands, name)?.[0],
  });
  if (typeof rule !== 'object') return true;
  return Array.from(rule.axes[0]).join() === `0,${elements(from.slice(1))}`;
}

/** Elements of a constant that is a list. */
function numbersOf(node: Node, operands: HostNode['operands'], name: string): readonly number[] | undefined {
  const operand = operands[node.inputs.indexOf(name)];
  if (!operand || !('value' in operand) || operand.value.data.length > MAX_LIST) return undefined;
  return Array.from(operand.value.data, Number);
}

/** The shape that the row gives for `batch` images, undefined where it cannot tell. */
function shapeOf(
  { row, node, operands, index, isPerImage }: HostNode,
  batch: number,
  graph: Graph,
): readonly Dimension[] | undefined {
  const [first, ...rest] = operands.map((operand): Known | undefined => {
    if (!operand || 'value' in operand) return operand?.value;
    return { dtype: operand.dtype, shape: sizesOf(operand.shape, batch, isPerImage) };
  });
  const result = first && row.shape(first, rest, node, shapeContext(graph, new Map()));
  if (typeof result !== 'object') return undefined;
  const output = 'outputs' in result ? result.outputs[index] : index === 0 ? result : undefined;
  return output && 'dtype' in output ? output.shape : output;
}

/** @param isPerImage only symbols stand for the batch; else the first dimension does, whatever it is */
function sizesOf(shape: readonly Dimension[], batch: number, isPerImage: boolean): number[] {
  if (!isPerImage) return ofBatch(shape, batch);
  return shape.map((size, axis) => (axis === 0 && typeof size === 'string' ? batch : Number(size)));
}

function ofBatch(shape: readonly Dimension[], batch: number): number[] {
  return shape.map((size, axis) => (axis === 0 ? batch : Number(size)));
}

function elements(sizes: readonly number[]): number {
  return sizes.reduce((product, size) => product * size, 1);
}
