import { roundToEven } from '../half.ts';
import { defineOperator, isFloats } from './operator.ts';

/**
 * To uint8 by the range of the values at hand: https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html. Of a batch each image has a
 * range of its own, so that no image's result depends on its neighbours.
 */
export const dynamicQuantizeLinear = defineOperator({
  op: 'DynamicQuantizeLinear',
  since: 11,
  inputs: [1, 1],
  outputs: 3,
  role: 'none',
  eachImage: true,
  note: 'each image of a batch by itself',
  shape: ({ shape }) => ({
    outputs: [
      { dtype: 'uint8', shape },
      { dtype: 'float32', shape: [] },
      { dtype: 'uint8', shape: [] },
    ],
  }),
  /** In float32, in ONNX Runtime's order; zero is always within the range. */
  evaluate({ inputs: [x], output = 0 }) {
    if (!isFloats(x)) return undefined;
    let [least, most] = [0, 0];
    for (const value of x.data) {
      // No range holds what is not a number.
      if (Number.isNaN(value)) return undefined;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    const scale = least === most ? 1 : Math.fround(Math.fround(most - least) / 255);
    if (output === 1) return { dtype: 'float32', shape: [], data: Float32Array.of(scale) };
    const zeroPoint = roundToEven(Math.min(255, Math.max(0, Math.fround(0 - Math.fround(least / scale)))));
    if (output === 2) return { dtype: 'uint8', shape: [], data: Uint8Array.of(zeroPoint) };
    const data = Uint8Array.from(x.data, (value) =>
      Math.min(255, Math.max(0, roundToEven(Math.fround(value / scale)) + zeroPoint)),
    );
    return { dtype: 'uint8', shape: x.shape, data };
  },
});
