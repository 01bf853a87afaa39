import { sameShape } from './elementwise.ts';
import { defineOperator } from './operator.ts';
import { scatterElements } from './scatter-elements.ts';
import { int } from './signature.ts';

/** What ScatterElements was called before opset 11. */
export const scatter = defineOperator({
  op: 'Scatter',
  since: 9,
  inputs: [3, 3],
  attributes: { axis: int(0) },
  role: 'none',
  shape: sameShape,
  evaluate: (call) => scatterElements.evaluate!(call),
});
