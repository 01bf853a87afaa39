/** Windows that slide over images: output sizes and explicit padding of convolutions and pools, as ONNX defines them. */
import type { Node } from './graph.ts';

export type Pair = readonly [height: number, width: number];

/** A sliding window with everything that ONNX leaves to defaults made explicit. */
export interface SlidingWindow {
  readonly kernel: Pair;
  readonly stride: Pair;
  /** Padding that ONNX counts as such: explicit, or resolved from `auto_pad`. */
  readonly pads: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation: Pair;
  readonly outputSize: Pair;
  /** Rows and columns by which `ceil_mode` lets the last window reach beyond the padding; never counted in an average. */
  readonly overhang: Pair;
}

/** Sizes and steps that are taken from a file are smaller: what they are looped over stays short. */
const LIMIT = 2 ** 16;

/**
 * The window of a Conv, MaxPool or AveragePool node over an image of `size`, or what is wrong with it.
 * `kernelShape` is the weights' [kH, kW] for a Conv, which the attribute may leave out.
 * Formulas: https://onnx.ai/onnx/operators/onnx__MaxPool.html, onnx__Conv.html.
 */
export function slidingWindow(node: Node, size: Pair, kernelShape?: Pair): SlidingWindow | string {
  const kernel = pair(node, 'kernel_shape', kernelShape);
  const stride = pair(node, 'strides', [1, 1]);
  const dilation = pair(node, 'dilations', [1, 1]);
  for (const value of [kernel, stride, dilation]) if (typeof value === 'string') return value;
  if (kernelShape && (kernel[0] !== kernelShape[0] || kernel[1] !== kernelShape[1])) {
    return `kernel_shape is [${kernel.toString()}], but the weights have [${kernelShape}]`;
  }
  const [k, s, d] = [kernel, stride, dilation] as [Pair, Pair, Pair];
  const ceil = node.attributes.ceil_mode === 1;

  const explicit = node.attributes.pads ?? [0, 0, 0, 0];
  if (!isIntegers(explicit, 4, 0))
    return `pads must be four integers from 0 to ${LIMIT - 1}: top, left, bottom, right (2-D only)`;
  const autoPad = node.attributes.auto_pad ?? 'NOTSET';
  const pads = [...explicit] as [number, number, number, number];
  const outputSize: [number, number] = [0, 0];
  const overhang: [number, number] = [0, 0];
  for (const axis of [0, 1] as const) {
    const extent = (k[axis] - 1) * d[axis] + 1;
    switch (autoPad) {
      case 'NOTSET':
        break;
      case 'VALID':
        pads[axis] = pads[axis + 2] = 0;
        break;
      case 'SAME_UPPER':
      case 'SAME_LOWER': {
        const total = Math.max(0, (Math.ceil(size[axis] / s[axis]) - 1) * s[axis] + extent - size[axis]);
        const less = total >> 1;
        pads[axis] = autoPad === 'SAME_UPPER' ? less : total - less;
        pads[axis + 2] = total - pads[axis];
        break;
      }
      default:
        return `auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID, not ${JSON.stringify(autoPad)}`;
    }
    const padded = size[axis] + pads[axis] + pads[axis + 2];
    const last = padded - extent;
    if (last < 0) {
      return `the window, ${extent} ${axis === 0 ? 'high' : 'wide'}, is larger than the padded image, ${padded}`;
    }
    let steps = Math.floor(last / s[axis]);
    // A window may start in the image or in the padding before it, not after (ONNX, ceil_mode).
    if (ceil && last % s[axis] !== 0 && (steps + 1) * s[axis] < size[axis] + pads[axis]) steps++;
    outputSize[axis] = steps + 1;
    overhang[axis] = Math.max(0, steps * s[axis] - last);
  }
  return { kernel: k, stride: s, pads, dilation: d, outputSize, overhang };
}

function pair(node: Node, name: string, fallback: Pair | undefined): Pair | string {
  const value = node.attributes[name] ?? fallback;
  if (isIntegers(value, 2, 1)) return [value[0], value[1]];
  return `${name} must be two integers from 1 to ${LIMIT - 1} (only 2-D images are supported)`;
}

function isIntegers(value: unknown, length: number, least: number): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length === length &&
    value.every((v) => Number.isInteger(v) && v >= least && v < LIMIT)
  );
}

/** The window of a ConvTranspose: what each element of the image is spread over. */
export interface TransposedWindow {
  readonly stride: Pair;
  readonly dilation: Pair;
  /** What is cut off at the top and on the left. */
  readonly pads: Pair;
  readonly outputSize: Pair;
}

/**
 * That of a ConvTranspose node over an image of `size`, or what is wrong with it. `kernel` is the weights' [kH, kW].
 * Formulas: https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
 */
export function transposedWindow(node: Node, size: Pair, kernel: Pair): TransposedWindow | string {
  const given = pair(node, 'kernel_shape', kernel);
  const stride = pair(node, 'strides', [1, 1]);
  const dilation = pair(node, 'dilations', [1, 1]);
  for (const value of [given, stride, dilation]) if (typeof value === 'string') return value;
  if (given.toString() !== kernel.toString()) {
    return `kernel_shape is [${given.toString()}], but the weights have [${kernel}]`;
  }
  const {
    pads: explicit = [0, 0, 0, 0],
    output_padding: added = [0, 0],
    output_shape: wanted,
  } = node.attributes;
  if (!isIntegers(explicit, 4, 0) || !isIntegers(added, 2, 0) || (wanted && !isIntegers(wanted, 2, 1))) {
    return `pads must be four and output_padding two integers from 0 to ${LIMIT - 1}, output_shape two above 0`;
  }
  const autoPad = node.attributes.auto_pad ?? 'NOTSET';
  const [s, d] = [stride, dilation] as [Pair, Pair];
  const pads: [number, number] = [0, 0];
  const outputSize: [number, number] = [0, 0];
  for (const axis of [0, 1] as const) {
    const full = s[axis] * (size[axis] - 1) + added[axis] + (kernel[axis] - 1) * d[axis] + 1;
    const isSame = autoPad === 'SAME_UPPER' || autoPad === 'SAME_LOWER';
    if (!isSame && autoPad !== 'NOTSET' && autoPad !== 'VALID') {
      return `auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID, not ${JSON.stringify(autoPad)}`;
    }
    if (wanted || isSame) {
      outputSize[axis] = wanted ? (wanted as Pair)[axis] : size[axis] * s[axis];
      const total = Math.max(0, full - outputSize[axis]);
      pads[axis] = autoPad === 'SAME_UPPER' ? total >> 1 : total - (total >> 1);
    } else {
      pads[axis] = autoPad === 'VALID' ? 0 : explicit[axis];
      outputSize[axis] = full - pads[axis] - (autoPad === 'VALID' ? 0 : explicit[axis + 2]);
    }
    if (!(outputSize[axis] > 0)) return `its result would have no ${axis === 0 ? 'rows' : 'columns'}`;
  }
  return { stride: s, dilation: d, pads, outputSize };
}
