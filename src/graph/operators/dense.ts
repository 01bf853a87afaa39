/** What rows of host stages share: arrays by element type, and walks over row-major tensors. */
import type { DType, TensorData } from '../graph.ts';
import { copyStrided, broadcastStrides } from '../strided.ts';
import type { Known, ShapeRule, Value } from './operator.ts';
import { broadcastShapes } from '../shapes.ts';

type DataConstructor = new (length: number) => TensorData;

const arrays: Readonly<Record<DType, DataConstructor>> = {
  float32: Float32Array,
  float16: Float32Array,
  bfloat16: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  int4: Int8Array,
  uint4: Uint8Array,
  int2: Int8Array,
  uint2: Uint8Array,
};

/** Zeros of a type. */
export function zeros(dtype: DType, length: number): TensorData {
  return new arrays[dtype](length);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function isBig(data: TensorData): data is BigInt64Array | BigUint64Array {
  return data instanceof BigInt64Array || data instanceof BigUint64Array;
}

/** Elements as numbers, undefined where there is no value. */
export function numbersIn(value: Value | undefined): number[] | undefined {
  return value && Array.from(value.data, Number);
}

/** Sizes around an axis: [what is before it, along it, behind it]. */
export function around(
  shape: readonly number[],
  axis: number,
): [outer: number, length: number, inner: number] {
  return [sizeOf(shape.slice(0, axis)), shape[axis], sizeOf(shape.slice(axis + 1))];
}

/** The elements of `value`, repeated to `shape`. */
export function broadcastTo({ data, shape: own }: Value, shape: readonly number[]): TensorData {
  return own.join() === shape.join() ? data : copyStrided(data, shape, broadcastStrides(own, shape));
}

/** A rule for results of another type than the first input's, of the broadcast shape. */
export const broadcastAs =
  (dtype: DType): ShapeRule =>
  (x, rest) => {
    const shape = broadcastAll([x, ...rest]);
    return shape ? { dtype, shape } : `shapes ${shapes([x, ...rest])} cannot be broadcast together`;
  };

export function broadcastAll(inputs: readonly (Known | undefined)[]): Known['shape'] | undefined {
  return inputs.reduce<Known['shape'] | undefined>(
    (shape, input) => (shape && input ? broadcastShapes(shape, input.shape) : shape),
    [],
  );
}

export function shapes(inputs: readonly (Known | undefined)[]): string {
  return inputs.map((input) => `[${input?.shape ?? []}]`).join(' and ');
}

/** Coordinates of a place in a row-major tensor. */
export function coordinatesOf(place: number, shape: readonly number[]): number[] {
  const coordinates = shape.map(() => 0);
  for (let axis = shape.length - 1, left = place; axis >= 0; axis--) {
    coordinates[axis] = left % shape[axis];
    left = Math.floor(left / shape[axis]);
  }
  return coordinates;
}
