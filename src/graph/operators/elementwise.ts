/** Rows of element-wise operators: of one value, and of two with broadcasting. */
import type { TensorData } from '../graph.ts';
import { broadcastShapes } from '../shapes.ts';
import { broadcastStrides, copyStrided } from '../strided.ts';
import {
  defineOperator,
  type Evaluation,
  type OnnxOperator,
  type OperatorDefinition,
  type ShapeRule,
  type Unary,
  type Value,
} from './operator.ts';

export const sameShape: ShapeRule = ({ shape }) => shape;

const broadcastShape: ShapeRule = (x, rest) => {
  let shape = x.shape;
  for (const other of rest) {
    if (!other) continue;
    const joined = broadcastShapes(shape, other.shape);
    if (!joined) return `shapes [${shape}] and [${other.shape}] cannot be broadcast together`;
    shape = joined;
  }
  return shape;
};

type UnaryDefinition<Name extends string> = Partial<OperatorDefinition<Name>> &
  Required<Pick<OperatorDefinition<Name>, 'op' | 'unary'>> &
  ThisType<OnnxOperator<Name>>;

/** A function of one value. */
export function unaryOperator<Name extends string = never>(
  definition: UnaryDefinition<Name>,
): OnnxOperator<Name> {
  return defineOperator<Name>({
    inputs: [1, 1],
    role: 'pointwise',
    shape: sameShape,
    evaluate(call) {
      return evaluateUnary(this, call);
    },
    ...definition,
  });
}

function evaluateUnary(
  row: Pick<OperatorDefinition, 'unary'>,
  { node, inputs: [x], shape, numbers }: Evaluation,
): Value | undefined {
  const of: Unary | undefined = row.unary?.(node, (name) => {
    const list = numbers(name);
    return list?.length === 1 ? list[0] : undefined;
  });
  if (!of || !(x?.data instanceof Float32Array)) return undefined;
  return { dtype: 'float32', shape, data: x.data.map(of) };
}

type BinaryDefinition = Partial<OperatorDefinition> & Required<Pick<OperatorDefinition, 'op' | 'binary'>>;

/** A function of two values (of more, where `inputs` says so, from left to right) with broadcasting. */
export function binaryOperator(definition: BinaryDefinition): OnnxOperator {
  const { integer } = definition;
  return defineOperator<string>({
    inputs: [2, 2],
    role: 'pointwise',
    shape: broadcastShape,
    ...(integer && {
      sizes(node, context) {
        const [a, b] = node.inputs.map((input) => context.numbers(input));
        if (!a || a.length !== b?.length) return undefined;
        const results = a.map((value, i) => Number(integer(BigInt(value), BigInt(b[i])) ?? NaN));
        return results.every(Number.isSafeInteger) ? results : undefined;
      },
    }),
    evaluate: (call) => evaluateBinary(definition, call),
    ...definition,
  });
}

/** Float32, each result rounded once; int64, wrapped, where `integer` is given. */
function evaluateBinary(
  { binary, integer }: Pick<BinaryDefinition, 'binary' | 'integer'>,
  { inputs, shape }: Evaluation,
): Value | undefined {
  const values = inputs.filter((input) => input !== undefined);
  if (values.length === 0 || values.length !== inputs.length) return undefined;
  const [first, ...rest] = values.map((value) => broadcast(value, shape));
  if (values.every(({ dtype, data }) => dtype === 'float32' && data instanceof Float32Array)) {
    const data = rest.reduce<TensorData>(
      (a, b) => (a as Float32Array).map((value, i) => binary(value, b[i] as number)),
      first,
    );
    return { dtype: 'float32', shape, data };
  }
  const [second] = rest;
  if (!integer || rest.length !== 1) return undefined;
  if (!(first instanceof BigInt64Array) || !(second instanceof BigInt64Array)) return undefined;
  const data = new BigInt64Array(first.length);
  for (const [i, value] of first.entries()) {
    const result = integer(value, second[i]);
    if (result === undefined) return undefined;
    data[i] = BigInt.asIntN(64, result);
  }
  return { dtype: 'int64', shape, data };
}

function broadcast({ data, shape: own }: Value, shape: readonly number[]): TensorData {
  return own.join() === shape.join() ? data : copyStrided(data, shape, broadcastStrides(own, shape));
}
