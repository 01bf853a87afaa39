import { pow } from '../../numerics/elementary.ts';
import { sizeOf } from './dense.ts';
import { sameShape } from './elementwise.ts';
import { defineOperator, isFloats } from './operator.ts';
import { float, int, required } from './signature.ts';

/** Local response normalization across channels (https://onnx.ai/onnx/operators/onnx__LRN.html). */
export const lrn = defineOperator({
  op: 'LRN',
  inputs: [1, 1],
  attributes: { alpha: float(1e-4), beta: float(0.75), bias: float(1), size: required(int()) },
  role: 'none',
  shape: sameShape,
  /** `x / (bias + alpha / size · Σ x²)^beta` in float64, rounded once. */
  evaluate({ node, inputs: [x], shape }) {
    if (!isFloats(x) || shape.length < 2) return undefined;
    const size = this.number(node, 'size');
    const [alpha, beta, bias] = (['alpha', 'beta', 'bias'] as const).map((name) => this.number(node, name));
    const [images, channels, ...spatial] = shape;
    const pixels = sizeOf(spatial);
    const before = Math.floor((size - 1) / 2);
    const data = new Float32Array(x.data.length);
    for (let n = 0; n < images; n++) {
      for (let c = 0; c < channels; c++) {
        const last = Math.min(channels - 1, c - before + size - 1);
        for (let i = 0; i < pixels; i++) {
          let squares = 0;
          for (let other = Math.max(0, c - before); other <= last; other++)
            squares += square(x.data[(n * channels + other) * pixels + i]);
          const at = (n * channels + c) * pixels + i;
          data[at] = x.data[at] / pow(bias + (alpha / size) * squares, beta);
        }
      }
    }
    return { dtype: 'float32', shape, data };
  },
});

const square = (x: number): number => x * x;
