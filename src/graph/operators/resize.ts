import type { Dimension, Node, TensorData } from '../graph.ts';
import { type AxisTaps, nearestAxes, resizedAxes, resizeTaps, type Scales } from '../resizing.ts';
import { movedElements, movingOperator } from './moving.ts';
import { float32List, type NormalizeContext } from './normalize-context.ts';
import { isFloats, type Value } from './operator.ts';
import { float, int, ints, since, string } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__Resize.html */
export const resize = movingOperator({
  op: 'Resize',
  since: 10,
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
  note: 'nearest: `move`; linear and cubic, over two axes: `resize`',
  computes: (node) => !isNearest(node),
  normalize(node, context) {
    if (context.graph.opset >= 11) return [node];
    const scales = Array.from(context.graph.constants.get(node.inputs[1] ?? '')?.data ?? [], Number);
    return [scaledByOldRule(node, scales, context)];
  },
  shape({ shape }, _, node, { graph, numbers, elements }) {
    const axes = resizedAxes(node, shape.length);
    if (!axes) return `is resized along axes that [${shape}] does not have`;
    if (node.inputs[3]) {
      const sizes = elements(node.inputs[3]);
      if (!sizes) return undefined;
      if (sizes.length !== axes.length)
        return `has ${sizes.length} sizes for ${axes.length} axes of [${shape}]`;
      const policy = node.attributes.keep_aspect_ratio_policy ?? 'stretch';
      if (policy !== 'stretch')
        return keptAspect(shape, axes, numbers(node.inputs[3]), policy === 'not_larger');
      return shape.map((dim, axis) => (axes.includes(axis) ? sizes[axes.indexOf(axis)] : dim));
    }
    const scales = node.inputs[2] ? graph.constants.get(node.inputs[2]) : undefined;
    if (!scales) return undefined;
    if (scales.data.length !== axes.length)
      return `has ${scales.data.length} scales for ${axes.length} axes of [${shape}]`;
    return shape.map((dim, axis): Dimension => {
      const scale = axes.includes(axis) ? Number(scales.data[axes.indexOf(axis)]) : 1;
      if (scale === 1) return dim;
      return typeof dim === 'number' ? Math.floor(dim * scale) : `${node.outputs[0]}.${axis}`;
    });
  },
  move(node, { from, to, numbers }) {
    if (!isNearest(node)) return 'is interpolated';
    const scales = scalesOf(node, numbers);
    if (!scales && !node.inputs[3]) return undefined;
    const taps = resizeTaps(node, from, to, scales);
    return typeof taps === 'string' ? taps : { axes: nearestAxes(taps, from) };
  },
  /** Linear and cubic: axis after axis, from the first, in float64; rounded once. */
  evaluate({ node, inputs: [x, , given], shape }) {
    const scales = given && given.data.length > 0 ? Array.from(given.data, Number) : undefined;
    const taps = x && resizeTaps(node, x.shape, shape, node.inputs[3] ? undefined : scales);
    if (!x || typeof taps !== 'object') return undefined;
    if (isNearest(node)) return movedElements(x, shape, { axes: nearestAxes(taps, x.shape) });
    return isFloats(x) ? interpolated(x, taps) : undefined;
  },
});

/**
 * Before opset 11 a Resize, or an Upsample, has scales alone, and ONNX names no rule: ONNX Runtime's coordinates are `x / scale`, and the nearest
 * element is the one before, or, of what becomes smaller, the one behind.
 */
export function scaledByOldRule(node: Node, scales: readonly number[], context: NormalizeContext): Node {
  const { mode = 'nearest' } = node.attributes;
  const isSmaller = scales.some((scale) => scale < 1);
  if (scales.length === 0) context.problems.node(node, 'its scales must be constants');
  if (mode === 'nearest' && isSmaller && scales.some((scale) => scale > 1)) {
    context.problems.node(node, 'makes some axes larger and others smaller, for which opset 10 has no rule');
  }
  return {
    ...node,
    op: 'Resize',
    inputs: [node.inputs[0], '', context.constant(`${node.name}.scales`, float32List(scales))],
    attributes: {
      mode,
      coordinate_transformation_mode: 'asymmetric',
      ...(mode === 'nearest' && { nearest_mode: isSmaller ? 'ceil' : 'floor' }),
    },
  };
}

/** The scales of a Resize, undefined where it gives sizes. */
export function scalesOf(node: Node, numbers: (name: string) => readonly number[] | undefined): Scales {
  return node.inputs[3] ? undefined : numbers(node.inputs[2] ?? '');
}

/** Whether its result has only elements of its input. */
export function isNearest({ attributes: { mode = 'nearest' } }: Node): boolean {
  return mode === 'nearest';
}

/** Sizes of one scale for all axes: the largest that none of the given sizes is below, or the smallest that none is above. */
function keptAspect(
  shape: readonly Dimension[],
  axes: readonly number[],
  sizes: readonly number[] | undefined,
  isUpperBound: boolean,
): readonly Dimension[] | undefined {
  const ratios = sizes?.map((size, i) => size / Number(shape[axes[i]]));
  if (!ratios || ratios.some(Number.isNaN)) return undefined;
  const scale = ratios.reduce((a, b) => (isUpperBound ? Math.min(a, b) : Math.max(a, b)));
  return shape.map((dim, axis) => (axes.includes(axis) ? Math.floor(scale * Number(dim) + 0.5) : dim));
}

function interpolated(x: Value & { readonly data: Float32Array }, taps: readonly (AxisTaps | null)[]): Value {
  let data: Float64Array = Float64Array.from(x.data);
  let shape = x.shape;
  for (const [axis, own] of taps.entries()) {
    if (!own) continue;
    const length = shape[axis];
    const size = own.places.length / own.count;
    const inner = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    const outer = shape.slice(0, axis).reduce((product, dim) => product * dim, 1);
    const next = new Float64Array(outer * size * inner);
    for (let o = 0, to = 0; o < outer; o++) {
      for (let i = 0; i < size; i++) {
        for (let at = 0; at < inner; at++, to++) {
          for (let tap = i * own.count; tap < (i + 1) * own.count; tap++) {
            next[to] += own.weights[tap] * data[(o * length + own.places[tap]) * inner + at];
          }
        }
      }
    }
    data = next;
    shape = shape.with(axis, size);
  }
  const result: TensorData = Float32Array.from(data);
  return { dtype: 'float32', shape, data: result };
}
