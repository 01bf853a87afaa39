import { defineOperator } from '../../src/graph/operators/operator.ts';
import { float, int } from '../../src/graph/operators/signature.ts';

/** The row of an operator that only the caller knows. */
export const swirl = defineOperator({
  op: 'com.example.Swirl',
  inputs: [1, 1],
  attributes: { angle: float(0), turns: int(1) },
  role: 'computes',
  shape: ({ shape }) => shape,
});
