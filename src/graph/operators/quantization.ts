/** What the rows of QuantizeLinear and DequantizeLinear share. */
import { numberAttribute, resolveAxis } from '../attributes.ts';
import type { DType, Node, TensorData } from '../graph.ts';
import { sameOrUnknown } from '../shapes.ts';
import type { Known, Value } from './operator.ts';

/** What is wrong with the parameters: one a tensor, one a slice of `axis`, or one a block of `block_size` along it. */
export function checkScale(
  x: Known,
  scale: Known | undefined,
  zeroPoint: Known | undefined,
  node: Node,
): string | undefined {
  const shape = scale?.shape ?? [];
  const isScalar = shape.every((dim) => dim === 1);
  if (
    zeroPoint &&
    zeroPoint.shape.join() !== shape.join() &&
    !(isScalar && zeroPoint.shape.every((dim) => dim === 1))
  ) {
    return `scale and zero point have different shapes: [${shape}] and [${zeroPoint.shape}]`;
  }
  const axis = numberAttribute(node, 'axis', 1);
  const position = resolveAxis(axis, x.shape.length);
  const block = numberAttribute(node, 'block_size', 0);
  if (block > 0) {
    const fits =
      shape.length === x.shape.length &&
      shape.every((dim, i) => {
        const size = x.shape[i];
        return sameOrUnknown(
          dim,
          i === position && typeof size === 'number' ? Math.ceil(size / block) : size,
        );
      });
    return fits
      ? undefined
      : `scale has shape [${shape}], which is not one a block of ${block} of [${x.shape}]`;
  }
  if (isScalar) return undefined;
  if (position === undefined || shape.length > 1 || !sameOrUnknown(shape[0], x.shape[position])) {
    return `scale has shape [${shape}], which does not fit axis ${axis} of [${x.shape}]`;
  }
  return undefined;
}

/** Which of the scales is that of element `i` of a tensor. */
export function scaleIndex(node: Node, shape: readonly number[], scale: Value): (i: number) => number {
  const { length } = scale.data;
  if (length === 1) return () => 0;
  const axis = resolveAxis(numberAttribute(node, 'axis', 1), shape.length) ?? 0;
  const inner = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const block = numberAttribute(node, 'block_size', 0);
  if (block === 0) return (i) => Math.floor(i / inner) % length;
  const size = shape[axis];
  const blocks = Math.ceil(size / block);
  return (i) => {
    const outer = Math.floor(i / (inner * size));
    const place = Math.floor((Math.floor(i / inner) % size) / block);
    return (outer * blocks + place) * inner + (i % inner);
  };
}

/** Integers that values are quantized to, and what holds them. */
export const integerTypes: Readonly<
  Partial<
    Record<
      DType,
      {
        least: number;
        most: number;
        of: (length: number) => Exclude<TensorData, BigInt64Array | BigUint64Array>;
      }
    >
  >
> = {
  int8: { least: -128, most: 127, of: (length) => new Int8Array(length) },
  uint8: { least: 0, most: 255, of: (length) => new Uint8Array(length) },
  int16: { least: -32768, most: 32767, of: (length) => new Int16Array(length) },
  uint16: { least: 0, most: 65535, of: (length) => new Uint16Array(length) },
  int4: { least: -8, most: 7, of: (length) => new Int8Array(length) },
  uint4: { least: 0, most: 15, of: (length) => new Uint8Array(length) },
  int2: { least: -2, most: 1, of: (length) => new Int8Array(length) },
  uint2: { least: 0, most: 3, of: (length) => new Uint8Array(length) },
};
