import { constantNumbers } from '../attributes.ts';
import { sizeOf } from './dense.ts';
import { defineOperator, isFloats } from './operator.ts';
import { ints, required } from './signature.ts';

/** Puts maxima back where a MaxPool's indices say that they were, zeros elsewhere. */
export const maxUnpool = defineOperator({
  op: 'MaxUnpool',
  since: 9,
  inputs: [2, 3],
  attributes: { kernel_shape: required(ints()), pads: ints(), strides: ints() },
  role: 'none',
  shape({ shape }, _, node, { graph }) {
    if (node.inputs[2]) return constantNumbers(graph, node.inputs[2]);
    const { kernel_shape: kernel, pads, strides } = node.attributes as Record<string, number[] | undefined>;
    return shape.map((dim, axis) => {
      if (axis < 2 || typeof dim !== 'number') return dim;
      const i = axis - 2;
      const padding = (pads?.[i] ?? 0) + (pads?.[i + shape.length - 2] ?? 0);
      return (dim - 1) * (strides?.[i] ?? 1) + (kernel?.[i] ?? 1) - padding;
    });
  },
  evaluate({ node, inputs: [x, indices], shape }) {
    if (!isFloats(x) || !indices) return undefined;
    const data = new Float32Array(sizeOf(shape));
    const { kernel_shape: kernel, pads, strides } = node.attributes as Record<string, number[] | undefined>;
    // Indices are of the image that was pooled, which a given size may be larger than.
    const pooled = x.shape.map((size, axis) => {
      if (axis < 2) return size;
      const i = axis - 2;
      const padding = (pads?.[i] ?? 0) + (pads?.[i + x.shape.length - 2] ?? 0);
      return (size - 1) * (strides?.[i] ?? 1) + (kernel?.[i] ?? 1) - padding;
    });
    for (let i = 0; i < x.data.length; i++) {
      let left = Number(indices.data[i]);
      let place = 0;
      for (let axis = shape.length - 1, step = 1; axis >= 0; axis--) {
        place += (left % pooled[axis]) * step;
        left = Math.floor(left / pooled[axis]);
        step *= shape[axis];
      }
      if (left !== 0 || place >= data.length) return undefined;
      data[place] = x.data[i];
    }
    return { dtype: 'float32', shape, data };
  },
});
