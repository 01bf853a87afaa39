import { defineOperator } from './operator.ts';
import { float, floats, int, ints, since, tensor } from './signature.ts';

/** Moved among the graph's constants when the file is read. */
export const constant = defineOperator({
  op: 'Constant',
  inputs: [0, 0],
  attributes: {
    value: tensor(),
    value_float: since(12, float()),
    value_floats: since(12, floats()),
    value_int: since(12, int()),
    value_ints: since(12, ints()),
  },
  role: 'none',
  shape: () => undefined,
});
