import type { Dimension } from '../graph.ts';
import { rowMajorStrides } from '../strided.ts';
import { movingOperator } from './moving.ts';
import { float, int, ints, since, string } from './signature.ts';

/** Nearest, by whole factors (https://onnx.ai/onnx/operators/onnx__Resize.html). */
export const resize = movingOperator({
  op: 'Resize',
  since: 11,
  inputs: [1, 4],
  attributes: {
    antialias: since(18, int(0)),
    axes: since(18, ints()),
    coordinate_transformation_mode: string('half_pixel'),
    cubic_coeff_a: float(-0.75),
    exclude_outside: int(0),
    extrapolation_value: float(0),
    keep_aspect_ratio_policy: since(18, string('stretch')),
    mode: string('nearest'),
    nearest_mode: string('round_prefer_floor'),
  },
  note: '`move`: nearest, by whole factors',
  shape({ shape }, _, node, { graph, numbers }) {
    const sizes = node.inputs[3] ? numbers(node.inputs[3]) : undefined;
    const scales = node.inputs[2] ? graph.constants.get(node.inputs[2]) : undefined;
    if (sizes) return sizes.length === shape.length ? sizes : `has ${sizes.length} sizes for [${shape}]`;
    if (!scales) return undefined;
    if (scales.data.length !== shape.length) return `has ${scales.data.length} scales for [${shape}]`;
    return shape.map((dim, axis): Dimension => {
      const scale = Number(scales.data[axis]);
      if (scale === 1) return dim;
      return typeof dim === 'number' ? Math.floor(dim * scale) : `${node.outputs[0]}.${axis}`;
    });
  },
  move(node, { from, to }) {
    const { mode = 'nearest', coordinate_transformation_mode: rule = 'half_pixel', axes } = node.attributes;
    const { nearest_mode: rounding = 'round_prefer_floor' } = node.attributes;
    if (mode !== 'nearest' || axes !== undefined)
      return 'is resized otherwise than to the nearest on all axes';
    const isWhole = to.every((size, axis) => size % from[axis] === 0);
    // Of whole factors these pick the element that a pixel lies in: half_pixel whichever way ties go, since there are none at odd
    // factors, and at even ones no pixel's centre falls on a border between two.
    const isRepeat =
      (rule === 'half_pixel' && (rounding === 'round_prefer_floor' || rounding === 'round_prefer_ceil')) ||
      (rule === 'asymmetric' && rounding === 'floor');
    if (!isWhole || !isRepeat)
      return 'is resized by other than whole factors, or by a rule that is not supported';
    const strides = rowMajorStrides(from);
    return {
      axes: to.map((size, axis) => {
        const factor = size / from[axis];
        return Float64Array.from({ length: size }, (_, i) => Math.floor(i / factor) * strides[axis]);
      }),
    };
  },
});
