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
  if (!of || !x) return undefined;
  if (!(x.data instanceof BigInt64Array || x.data instanceof BigUint64Array))
    return { dtype: x.dtype, shape, data: x.data.map(of) };
  const results = Array.from(x.data, (value) => of(Number(value)));
  if (!results.every(Number.isSafeInteger)) return undefined;
  const data = x.data.slice();
  for (const [i, result] of results.entries()) data[i] = BigInt(result);
  return { dtype: x.dtype, shape, data };
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

/** Floats, each result rounded once; integers, wrapped, where `integer` is given. */
function evaluateBinary(
  { binary, integer }: Pick<BinaryDefinition, 'binary' | 'integer'>,
  { inputs, shape }: Evaluation,
): Value | undefined {
  const values = inputs.filter((input) => input !== undefined);
  if (values.length === 0 || values.length !== inputs.length) return undefined;
  const [{ dtype }] = values;
  if (values.some((value) => value.dtype !== dtype)) return undefined;
  const operands = values.map((value) => broadcast(value, shape));
  const isFloat = operands[0] instanceof Float32Array || operands[0] instanceof Float64Array;
  const isBig = operands[0] instanceof BigInt64Array || operands[0] instanceof BigUint64Array;
  const data = operands[0].slice();
  for (const operand of operands.slice(1)) {
    for (let i = 0; i < data.length; i++) {
      if (isFloat) {
        data[i] = binary(data[i] as number, operand[i] as number);
        continue;
      }
      const result = integer?.(BigInt(data[i]), BigInt(operand[i]));
      if (result === undefined) return undefined;
      data[i] = isBig ? result : Number(BigInt.asIntN(32, result));
    }
  }
  return { dtype, shape, data };
}

function broadcast({ data, shape: own }: Value, shape: readonly number[]): TensorData {
  return own.join() === shape.join() ? data : copyStrided(data, shape, broadcastStrides(own, shape));
}
