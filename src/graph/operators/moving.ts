/** Rows of operators that move elements: their value follows from where each element comes from. */
import type { Node, TensorData } from '../graph.ts';
import { rowMajorStrides } from '../strided.ts';
import {
  defineOperator,
  type Evaluation,
  type Move,
  type MoveCall,
  type OnnxOperator,
  type OperatorDefinition,
  OUTSIDE,
  type Value,
} from './operator.ts';

type MovingDefinition<Name extends string> = Omit<OperatorDefinition<Name>, 'role' | 'move'> & {
  move(node: Node, call: MoveCall): Move | string | undefined;
} & ThisType<OnnxOperator<Name>>;

export function movingOperator<Name extends string = never>(
  definition: MovingDefinition<Name>,
): OnnxOperator<Name> {
  return defineOperator<Name>({
    role: 'moves',
    evaluate(call) {
      return movedValue(this, call);
    },
    ...definition,
  });
}

/** The list of an axis that is taken as it is. */
export function wholeAxis(shape: readonly number[], axis: number): Int32Array {
  const stride = rowMajorStrides(shape)[axis];
  return Int32Array.from({ length: shape[axis] }, (_, i) => i * stride);
}

/** The lists of all axes of `shape`, each taken as it is. */
export function wholeAxes(shape: readonly number[]): Int32Array[] {
  return shape.map((_, axis) => wholeAxis(shape, axis));
}

function movedValue(
  row: Pick<OperatorDefinition, 'move'>,
  { node, inputs, shape, numbers }: Evaluation,
): Value | undefined {
  const [x] = inputs;
  if (!x) return undefined;
  const scalar = (name: string): number | undefined => {
    const value = inputs[node.inputs.indexOf(name)];
    return value?.data.length === 1 ? Number(value.data[0]) : undefined;
  };
  const rule = row.move?.(node, { from: x.shape, to: shape, numbers, scalar });
  return typeof rule === 'object' ? movedElements(x, shape, rule) : undefined;
}

/** The elements of `x` that `axes` names, in a tensor of `shape`. */
export function movedElements(x: Value, shape: readonly number[], { axes, fill = 0 }: Move): Value {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = new (x.data.constructor as new (length: number) => TensorData)(length);
  const filler = x.data instanceof BigInt64Array || x.data instanceof BigUint64Array ? BigInt(fill) : fill;
  const index = shape.map(() => 0);
  for (let i = 0; i < length; i++) {
    let from = 0;
    for (let axis = 0; axis < shape.length && from >= 0; axis++) {
      const part = axes[axis][index[axis]];
      from = part === OUTSIDE ? OUTSIDE : from + part;
    }
    data[i] = from < 0 ? filler : x.data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return { dtype: x.dtype, shape, data };
}
