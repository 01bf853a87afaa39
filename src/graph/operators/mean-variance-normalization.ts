import { resolveAxes } from '../shapes.ts';
import { sameShape } from './elementwise.ts';
import { defineOperator, isFloats } from './operator.ts';
import { placesOf } from './reduction.ts';
import { ints } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html */
export const meanVarianceNormalization = defineOperator({
  op: 'MeanVarianceNormalization',
  since: 9,
  inputs: [1, 1],
  attributes: { axes: ints([0, 2, 3]) },
  role: 'none',
  shape: sameShape,
  along: (node) => (node.attributes.axes ?? [0, 2, 3]) as number[],
  /** `(x − mean) / (√variance + 1e-9)` in float64, rounded once. */
  evaluate({ node, inputs: [x], shape }) {
    const axes = resolveAxes((node.attributes.axes ?? [0, 2, 3]) as number[], shape.length);
    if (!isFloats(x) || typeof axes === 'string') return undefined;
    const { places, count } = placesOf(shape, axes);
    const per = x.data.length / count;
    const means = new Float64Array(count);
    for (const [i, place] of places.entries()) means[place] += x.data[i];
    for (let i = 0; i < count; i++) means[i] /= per;
    const variances = new Float64Array(count);
    for (const [i, place] of places.entries()) {
      const rest = x.data[i] - means[place];
      variances[place] += rest * rest;
    }
    const data = x.data.map(
      (value, i) => (value - means[places[i]]) / (Math.sqrt(variances[places[i]] / per) + 1e-9),
    );
    return { dtype: 'float32', shape, data };
  },
});
