import { ModelError } from '../errors.ts';
import type { Dimension, DType, Graph } from '../graph/graph.ts';
import type { Known } from '../graph/operators/operator.ts';
import { offsetCount } from './move.ts';
import {
  type AccumulatorTensor,
  type FloatTensor,
  type HostTensor,
  type ImageShape,
  type Int8Tensor,
  type IntegerTensor,
  type Layout,
  type LookupOperation,
  type MoveOperation,
  type Operation,
  type ProgramTensor,
  rowMajor,
} from './program.ts';

/** Offsets that the moves of one model list altogether: small files can ask for gigabytes of them. */
const MAX_OFFSETS = 2 ** 24;

/** Bytes of tables for single channels in one model, as much as 131,072 channels take. */
const MAX_TABLE_BYTES = 2 ** 25;

/** The tensors and operations of a program that is being made, and changes that can be undone. */
export class Draft {
  readonly tensors: ProgramTensor[] = [];
  /** Of the tensors. */
  readonly names = new Set<string>();
  readonly operations: Operation[] = [];
  readonly #graph: Graph;
  /** Offsets of moves so far. */
  #listed = 0;
  #tableBytes = 0;
  #undo: (() => void)[] | undefined;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** @returns a function that takes back what `change` does by the methods of this object */
  record(change: () => void): () => void {
    const undo: (() => void)[] = [];
    this.#undo = undo;
    try {
      change();
    } finally {
      this.#undo = undefined;
    }
    return () => {
      for (const each of undo.reverse()) each();
    };
  }

  /** @throws ModelError where moves list more offsets, or lookups have more tables, than a model may */
  emit(operation: Operation): void {
    if (isLookup(operation) && operation.table.length > 256) {
      this.#tableBytes += operation.table.length;
      if (this.#tableBytes > MAX_TABLE_BYTES) {
        throw new ModelError(`its tables, with those before it, take more than ${MAX_TABLE_BYTES} bytes`);
      }
    }
    if (isMove(operation)) {
      this.list(operation.parts.reduce((count, { source }) => count + offsetCount(source), 0));
    }
    this.#push(this.operations, operation);
  }

  /**
   * Counts offsets that a move lists.
   *
   * @throws ModelError where all moves together list more than a model may
   */
  list(offsets: number): void {
    this.#listed += offsets;
    if (this.#listed > MAX_OFFSETS) {
      throw new ModelError(`its offsets, with those before it, are more than ${MAX_OFFSETS}`);
    }
  }

  int8(
    name: string,
    { image, strides }: Layout,
    { scale, zeroPoint }: Pick<Int8Tensor, 'scale' | 'zeroPoint'>,
  ): Int8Tensor {
    const shape = this.#shapeOf(name, image);
    return this.#add({
      id: this.tensors.length,
      name,
      shape,
      image,
      strides,
      type: 'int8',
      scale,
      zeroPoint,
    });
  }

  floats(name: string, shape: readonly Dimension[]): FloatTensor {
    return this.#add({ ...this.#hostTensor(name, shape, countOf(shape) ?? 0), type: 'float32' });
  }

  integers(name: string, shape: readonly Dimension[], dtype: DType): IntegerTensor {
    return this.#add({ ...this.#hostTensor(name, shape, countOf(shape) ?? 0), type: 'int32', dtype });
  }

  /** What a host stage computes. */
  host(name: string, { dtype, shape }: Known, perImage: number): HostTensor {
    const tensor = this.#hostTensor(name, shape, perImage);
    return dtype === 'float32'
      ? this.#add({ ...tensor, type: 'float32' })
      : this.#add({ ...tensor, type: 'int32', dtype });
  }

  #hostTensor(name: string, shape: readonly Dimension[], perImage: number) {
    return {
      id: this.tensors.length,
      name,
      shape,
      ...rowMajor(perImage),
      scale: 1,
      zeroPoint: 0,
    } as const;
  }

  accumulators(name: string, { image, strides }: Layout, scales: Float32Array): AccumulatorTensor {
    const scale = scales.every((s) => s === scales[0]) ? scales[0] : scales;
    const shape = this.#shapeOf(name, image);
    return this.#add({
      id: this.tensors.length,
      name,
      shape,
      image,
      strides,
      type: 'accumulator',
      scale,
      zeroPoint: 0,
    });
  }

  /** The ONNX shape of a value; of one that only the program knows, that of its image. */
  #shapeOf(name: string, [height, width, channels]: ImageShape): readonly Dimension[] {
    return this.#graph.values.get(name)?.shape ?? ['N', channels, height, width];
  }

  set<K, V>(map: Map<K, V>, key: K, value: V): void {
    const before = map.get(key);
    this.#undo?.push(() => {
      if (before === undefined) map.delete(key);
      else map.set(key, before);
    });
    map.set(key, value);
  }

  remove<K, V>(map: Map<K, V>, key: K): void {
    const before = map.get(key);
    if (before === undefined) return;
    this.#undo?.push(() => map.set(key, before));
    map.delete(key);
  }

  include<T>(set: Set<T>, value: T): void {
    if (set.has(value)) return;
    this.#undo?.push(() => set.delete(value));
    set.add(value);
  }

  #push<T>(list: T[], value: T): void {
    this.#undo?.push(() => list.pop());
    list.push(value);
  }

  #add<T extends ProgramTensor>(tensor: T): T {
    this.#push<ProgramTensor>(this.tensors, tensor);
    this.include(this.names, tensor.name);
    return tensor;
  }
}

const isLookup = (operation: Operation): operation is LookupOperation => operation.kind === 'lookup';
const isMove = (operation: Operation): operation is MoveOperation => operation.kind === 'move';

/** Elements of one image of the batch, undefined where they are not known. */
export function countOf(shape: readonly Dimension[] = []): number | undefined {
  const count = shape.slice(1).reduce<number>((product, size) => product * Number(size), 1);
  return shape.length === 0 || Number.isNaN(count) ? undefined : count;
}
