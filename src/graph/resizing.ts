/**
 * Where the elements of a Resize come from: for each axis the places along the input's and their weights. Coordinates are computed in
 * float32, in ONNX Runtime's order of operations: otherwise the nearest element flips where a coordinate falls on a tie.
 * Rules: https://onnx.ai/onnx/operators/onnx__Resize.html
 */
import { numberAttribute, resolveAxis, textAttribute } from './attributes.ts';
import type { Node } from './graph.ts';
import { rowMajorStrides } from './strided.ts';

/** What the elements along one axis of the result are made of. */
export interface AxisTaps {
  /** How many elements of the input each one of the result takes: 1 to the nearest, 2 linearly, 4 cubically, more through a filter. */
  readonly count: number;
  /** [size · count], clamped to the input's axis; a place may stand there twice. */
  readonly places: Int32Array;
  /** [size · count], in float64; they add up to 1. */
  readonly weights: Float64Array;
}

/** The scale factors of all axes as the node gives them, undefined where it gives sizes. */
export type Scales = readonly number[] | undefined;

/**
 * The taps of each axis, null where it stays as it is; or what is not supported.
 *
 * @param scales of as many axes as the node names
 */
export function resizeTaps(
  node: Node,
  from: readonly number[],
  to: readonly number[],
  scales: Scales,
): readonly (AxisTaps | null)[] | string {
  const mode = textAttribute(node, 'mode', 'nearest');
  const rule = textAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
  const rounding = textAttribute(node, 'nearest_mode', 'round_prefer_floor');
  if (mode !== 'nearest' && mode !== 'linear' && mode !== 'cubic') return `is resized by mode ${mode}`;
  const axes = resizedAxes(node, from.length);
  if (!axes) return 'is resized along axes that it does not have';
  const round = ROUNDINGS.get(rounding);
  if (mode === 'nearest' && !round) return `is rounded by ${rounding}`;
  const isAntialiased = numberAttribute(node, 'antialias', 0) !== 0 && mode !== 'nearest';
  const taps: (AxisTaps | null)[] = [];
  for (const [axis, length] of from.entries()) {
    const size = to[axis];
    if (length === 0 && size === 0) {
      taps.push(null);
      continue;
    }
    if (length === 0) return 'is empty';
    const at = axes.indexOf(axis);
    const scale = at < 0 ? 1 : Math.fround(scales ? scales[at] : Math.fround(size) / Math.fround(length));
    if (scale === 1 && size === length) {
      taps.push(null);
      continue;
    }
    const coordinate = coordinates(rule, scale, size, length);
    if (!coordinate) return `is resized by the rule ${rule}`;
    // Runtimes differ there in which of the two the corners are of.
    if (rule === 'align_corners' && scales && Math.fround(scale * length) !== size) {
      return `is aligned at the corners of ${size} elements, which ${length} by ${scale} are not`;
    }
    // ONNX Runtime takes coordinates as they are where the scale is 1.
    const original = scale === 1 ? (i: number) => i : coordinate;
    if (mode === 'nearest') taps.push(nearest(size, length, original, round!));
    else if (isAntialiased && scale < 1) taps.push(filtered(node, size, length, original, scale));
    else if (mode === 'linear') taps.push(linear(size, length, original));
    else taps.push(cubic(node, size, length, original));
  }
  return taps;
}

/** The axes that the scales or sizes are of; undefined where they are not the tensor's. */
export function resizedAxes({ attributes: { axes } }: Node, rank: number): readonly number[] | undefined {
  if (!Array.isArray(axes)) return Array.from({ length: rank }, (_, axis) => axis);
  const resolved = (axes as number[]).map((axis) => resolveAxis(axis, rank));
  return resolved.every((axis) => axis !== undefined) ? resolved : undefined;
}

/** Taps as moves: the element that each one of the result is a copy of (`Move.axes`). */
export function nearestAxes(
  taps: readonly (AxisTaps | null)[],
  from: readonly number[],
): ArrayLike<number>[] {
  const strides = rowMajorStrides(from);
  return taps.map((axis, i) => {
    const stride = strides[i];
    if (!axis) return Float64Array.from({ length: from[i] }, (_, at) => at * stride);
    return Float64Array.from(axis.places, (place) => place * stride);
  });
}

const f = Math.fround;

/** The coordinate in the input, a float32, of each one of the result. */
function coordinates(
  rule: string,
  scale: number,
  size: number,
  length: number,
): ((i: number) => number) | undefined {
  const halfPixel = (i: number) => f(f(f(i + 0.5) / scale) - 0.5);
  switch (rule) {
    case 'half_pixel':
      return halfPixel;
    case 'half_pixel_symmetric': {
      const adjustment = f(size / f(scale * length));
      const offset = f(f(length / 2) * f(1 - adjustment));
      // In float64, unlike the others.
      return (i) => f(offset + (i + 0.5) / scale - 0.5);
    }
    case 'pytorch_half_pixel':
      return size > 1 ? halfPixel : () => 0;
    case 'tf_half_pixel_for_nn':
      return (i) => f(f(i + 0.5) / scale);
    case 'asymmetric':
      return (i) => f(i / scale);
    case 'align_corners':
      return size === 1 ? () => 0 : (i) => f(f(i * (length - 1)) / (size - 1));
    default:
      return undefined;
  }
}

type Rounding = (x: number) => number;

/** Half away from zero, as C rounds. */
const roundHalfAway: Rounding = (x) => (x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5));

const ROUNDINGS: ReadonlyMap<string, Rounding> = new Map([
  ['round_prefer_floor', (x) => (x === Math.trunc(x) + 0.5 ? Math.trunc(x) : roundHalfAway(x))],
  ['round_prefer_ceil', roundHalfAway],
  ['floor', Math.floor],
  ['ceil', Math.ceil],
]);

const clamped = (place: number, length: number) => Math.min(Math.max(place, 0), length - 1);

function nearest(size: number, length: number, original: Rounding, round: Rounding): AxisTaps {
  const places = Int32Array.from({ length: size }, (_, i) => clamped(round(original(i)), length));
  return { count: 1, places, weights: new Float64Array(size).fill(1) };
}

function linear(size: number, length: number, original: Rounding): AxisTaps {
  const places = new Int32Array(size * 2);
  const weights = new Float64Array(size * 2);
  for (let i = 0; i < size; i++) {
    const at = clamped(original(i), length);
    const first = Math.floor(at);
    places[2 * i] = first;
    places[2 * i + 1] = Math.min(first + 1, length - 1);
    weights[2 * i + 1] = f(at - first);
    weights[2 * i] = 1 - weights[2 * i + 1];
  }
  return { count: 2, places, weights };
}

/** Keys 1981, with the coefficient `cubic_coeff_a`. */
function cubicWeight(node: Node): (distance: number) => number {
  const { cubic_coeff_a: given } = node.attributes;
  const a = typeof given === 'number' ? given : -0.75;
  return (distance) => {
    const x = Math.abs(distance);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
  };
}

function cubic(node: Node, size: number, length: number, original: Rounding): AxisTaps {
  return spread(node, size, length, original, 2, cubicWeight(node));
}

/** As wide a filter, a triangle or the cubic one, as an element of the result is. */
function filtered(node: Node, size: number, length: number, original: Rounding, scale: number): AxisTaps {
  const isLinear = node.attributes.mode === 'linear';
  const weightOf = isLinear ? (x: number) => Math.max(0, 1 - Math.abs(x)) : cubicWeight(node);
  const radius = Math.ceil((isLinear ? 1 : 2) / scale);
  return spread(node, size, length, original, radius, (distance) => weightOf(distance * scale));
}

/** Taps up to `radius` places before and behind, those outside at the edge, or none (`exclude_outside`). */
function spread(
  node: Node,
  size: number,
  length: number,
  original: Rounding,
  radius: number,
  weightOf: (distance: number) => number,
): AxisTaps {
  const excludes = node.attributes.exclude_outside === 1;
  const count = 2 * radius;
  const places = new Int32Array(size * count);
  const weights = new Float64Array(size * count);
  for (let i = 0; i < size; i++) {
    const at = original(i);
    const first = Math.floor(at) - radius + 1;
    let sum = 0;
    for (let tap = 0; tap < count; tap++) {
      const place = first + tap;
      places[count * i + tap] = clamped(place, length);
      const isOutside = place < 0 || place >= length;
      sum += weights[count * i + tap] = excludes && isOutside ? 0 : weightOf(at - place);
    }
    for (let tap = 0; tap < count; tap++) weights[count * i + tap] /= sum;
  }
  return { count, places, weights };
}
