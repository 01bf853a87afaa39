/** Rows whose result is true or false: comparisons, logic and tests of values. Bools are 0 and 1 in a Uint8Array. */
import type { Node, TensorData } from '../graph.ts';
import { broadcastAs, broadcastTo, sizeOf } from './dense.ts';
import { defineOperator, type OnnxOperator, type OperatorDefinition } from './operator.ts';

type Element = number | bigint;

/** A predicate of two elements of one type, with broadcasting. */
export function predicateOperator(
  op: string,
  of: (a: Element, b: Element) => boolean,
  rest: Pick<OperatorDefinition, 'sizes'> = {},
): OnnxOperator {
  return defineOperator<string>({
    ...rest,
    op,
    inputs: [2, 2],
    role: 'none',
    shape: broadcastAs('bool'),
    evaluate({ inputs: [a, b], shape }) {
      if (!a || a.data.constructor !== b?.data.constructor) return undefined;
      const [left, right] = [broadcastTo(a, shape), broadcastTo(b, shape)];
      return {
        dtype: 'bool',
        shape,
        data: Uint8Array.from({ length: sizeOf(shape) }, (_, i) => Number(of(left[i], right[i]))),
      };
    },
  });
}

type TestDefinition<Name extends string> = Pick<OperatorDefinition<Name>, 'op' | 'since' | 'attributes'> & {
  readonly test: (row: OnnxOperator<Name>, node: Node) => (x: Element) => boolean;
};

/** A predicate of one element. */
export function testOperator<Name extends string = never>({
  test,
  ...definition
}: TestDefinition<Name>): OnnxOperator<Name> {
  return defineOperator<Name>({
    inputs: [1, 1],
    role: 'none',
    shape: ({ shape }) => ({ dtype: 'bool', shape }),
    evaluate({ node, inputs: [x], shape }) {
      if (!x) return undefined;
      const holds = test(this, node);
      return {
        dtype: 'bool',
        shape,
        data: Uint8Array.from({ length: x.data.length }, (_, i) => Number(holds(x.data[i]))),
      };
    },
    ...definition,
  });
}

/** An operation on the bits of integers, with broadcasting. */
export function bitwiseOperator(op: string, of: (a: bigint, b: bigint) => bigint): OnnxOperator {
  return defineOperator<string>({
    op,
    since: 18,
    inputs: [2, 2],
    role: 'none',
    shape: (x, ...call) => broadcastAs(x.dtype)(x, ...call),
    evaluate({ inputs: [a, b], shape, dtype }) {
      if (!a || a.dtype !== b?.dtype || a.data instanceof Float32Array || a.data instanceof Float64Array)
        return undefined;
      const [left, right] = [broadcastTo(a, shape), broadcastTo(b, shape)];
      return { dtype, shape, data: mapIntegers(left, (x, i) => of(x, BigInt(right[i]))) };
    },
  });
}

/** `of` each element, wrapped to the type. */
export function mapIntegers(data: TensorData, of: (x: bigint, index: number) => bigint): TensorData {
  const result = new (data.constructor as new (length: number) => TensorData)(data.length);
  const isBig = result instanceof BigInt64Array || result instanceof BigUint64Array;
  for (let i = 0; i < data.length; i++) {
    const value = of(BigInt(data[i]), i);
    result[i] = isBig ? value : Number(BigInt.asIntN(32, value));
  }
  return result;
}
