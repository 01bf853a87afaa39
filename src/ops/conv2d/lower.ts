import { ModelError } from '../../errors.ts';
import { slidingWindow } from '../../graph/geometry.ts';
import type { Dimension, Node } from '../../graph/graph.ts';
import { conv } from '../../graph/operators/conv.ts';
import { gemm } from '../../graph/operators/gemm.ts';
import { axisGroups, groupedLayout, groupsWithin } from '../../program/layouts.ts';
import type { LoweringContext, QuantizedConstant } from '../../program/lowering.ts';
import { requantizeMultiplier, toMultiplier } from '../../program/multiplier.ts';
import {
  nchw,
  sameLayout,
  type Conv2dOperation,
  type Requantize,
  type Window2d,
  type Int8Tensor,
  type Layout,
} from '../../program/program.ts';
import { int8Weights, type Weights, type WeightShape, weightSums } from '../../program/weights.ts';

/** What Conv, Gemm and MatMul have in common. */
interface Layer {
  readonly window: Window2d;
  readonly groups: number;
  readonly outputLayout: Layout;
  readonly weights: Weights;
  /** One, or one an output channel. */
  readonly weightScale: Float32Array;
}

/** What a matrix product of more than two dimensions is read as: rows along the last axis, which are pixels of as many channels. */
export function rowLayout(node: Node, index: number, shape: readonly Dimension[]): Layout | undefined {
  const isFixed = shape.slice(1).every((size) => typeof size === 'number' && size > 0);
  if (conv.is(node) || index !== 0 || shape.length < 3 || !isFixed) return undefined;
  return groupedLayout(shape as readonly number[], groupsWithin(shape.length, shape.length - 1));
}

export function lowerConv2d(node: Node, context: LoweringContext): void {
  const shape = context.shape(node, 0) ?? [];
  const rows = rowLayout(node, 0, shape);
  const input = conv.is(node)
    ? context.image(node, 0)
    : rows
      ? rowsOf(node, shape as readonly number[], rows, context)
      : context.activation(node, 0);
  const weights = context.constant(node, 1);
  if (!input) return;
  if (!(weights?.data instanceof Int8Array)) {
    context.problem(node, 'its weights must be int8 or uint8 constants behind a DequantizeLinear');
    return;
  }
  const layer = conv.is(node)
    ? convolution(node, input, weights)
    : dense(node, input, weights, rows ? (shape as readonly number[]) : undefined);
  if (typeof layer === 'string') {
    context.problem(node, layer);
    return;
  }
  const outChannels = layer.outputLayout.image[2];
  const scaleOf = (c: number) => layer.weightScale[layer.weightScale.length > 1 ? c : 0];
  // fl32(s_x · s_w): the scale of accumulators and bias, and the first half of the multiplier.
  const accumulatorScale = Float32Array.from({ length: outChannels }, (_, c) => input.scale * scaleOf(c));
  const output = context.output(node, layer.outputLayout, { accumulatorScale });
  if (!output) return;
  const bias = biasIntegers(node, context, accumulatorScale);
  if (typeof bias === 'string') {
    context.problem(node, bias);
    return;
  }
  const folded = foldZeroPoints(layer.weights, input.zeroPoint, bias);
  // Nothing that floats would make better: thrown, the node is refused.
  if (typeof folded === 'string') throw new ModelError(folded);
  const { tensor, lo, hi } = output;
  context.emit<Conv2dOperation>({
    kind: 'conv2d',
    name: node.name,
    inputs: [input.id],
    output: tensor.id,
    ...layer.window,
    groups: layer.groups,
    weights: layer.weights,
    bias: folded,
    requantize: tensor.type !== 'int8' ? null : requantizeOf(outChannels, input, scaleOf, tensor, lo, hi),
    pool: false,
    residual: null,
  });
}

function convolution(
  node: Node,
  input: Int8Tensor,
  { data, shape, ...q }: QuantizedConstant,
): Layer | string {
  const [height, width] = input.image;
  const [outChannels, inChannels, kernelHeight, kernelWidth] = shape;
  const window = slidingWindow(node, [height, width], [kernelHeight, kernelWidth]);
  if (typeof window === 'string') return window;
  if (q.scale.length > 1 && q.axis !== 0) return `its weight scales are along axis ${q.axis}, not 0`;
  const taps = kernelHeight * kernelWidth;
  return {
    window: { kernel: window.kernel, stride: window.stride, pads: window.pads, dilation: window.dilation },
    groups: conv.number(node, 'group'),
    outputLayout: nchw([...window.outputSize, outChannels]),
    weights: sharedWeights({ outChannels, taps, inChannels }, q.zeroPoint, data, 'OI', () =>
      channelsLast(data, outChannels, inChannels, taps),
    ),
    weightScale: q.scale,
  };
}

/** The input with its last axis innermost, the others as they lie where that may be. */
function rowsOf(
  node: Node,
  shape: readonly number[],
  rows: Layout,
  context: LoweringContext,
): Int8Tensor | undefined {
  const input = context.activation(node, 0);
  const innermost = input && axisGroups(input, shape)?.[2];
  return innermost?.join() === `${shape.length - 1}` ? input : context.inLayout(node, 0, rows);
}

/**
 * A dense layer is a convolution whose kernel is the whole image; ONNX flattens images in the order C, H, W. Of more than two dimensions
 * it is a 1×1 convolution of pixels whose channels are the last axis.
 *
 * @param rows the shape in that case
 */
function dense(
  node: Node,
  input: Int8Tensor,
  { data, shape, ...q }: QuantizedConstant,
  rows: readonly number[] | undefined,
): Layer | string {
  if (shape.length !== 2) return `its weights are [${shape}]; they must be a matrix`;
  if (gemm.is(node)) {
    for (const [name, wanted] of [
      ['alpha', 1],
      ['beta', 1],
      ['transA', 0],
    ] as const) {
      const value = gemm.number(node, name);
      if (value !== wanted) return `${name} is ${value}; only ${wanted} is supported`;
    }
  }
  const isTransposed = gemm.is(node) && gemm.number(node, 'transB') !== 0;
  const [outAxis, inAxis] = isTransposed ? [0, 1] : [1, 0];
  const outChannels = shape[outAxis];
  if (q.scale.length > 1 && q.axis !== outAxis)
    return `its weight scales are along axis ${q.axis}, not ${outAxis}`;
  const [inHeight, inWidth, channels] = input.image;
  const [height, width] = rows ? [1, 1] : [inHeight, inWidth];
  const pixels = height * width;
  if (shape[inAxis] !== pixels * channels) {
    return `its weights are for ${shape[inAxis]} values, but its input has ${pixels * channels}`;
  }
  const weightShape = { outChannels, taps: pixels, inChannels: channels };
  const strides = rows || sameLayout(input, nchw(input.image)) ? '' : input.strides.join();
  return {
    window: { kernel: [height, width], stride: [1, 1], pads: [0, 0, 0, 0], dilation: [1, 1] },
    groups: 1,
    outputLayout: rows
      ? groupedLayout(
          rows.with(-1, outChannels),
          axisGroups(input, rows)!.with(2, [rows.length - 1]) as never,
        )
      : nchw([1, 1, outChannels]),
    weights: sharedWeights(weightShape, q.zeroPoint, data, `${isTransposed ? 'OI' : 'IO'} ${strides}`, () => {
      const rows = isTransposed ? data : transposed(data, pixels * channels, outChannels);
      return strides === ''
        ? channelsLast(rows, outChannels, channels, pixels)
        : inOrderOf(input, rows, outChannels);
    }),
    weightScale: q.scale,
  };
}

/** Rows of weights in the order in which the elements of an image are stored. */
function inOrderOf({ image, strides }: Layout, rows: Int8Array | Int32Array, outChannels: number): Int8Array {
  const [height, width, channels] = image;
  const k = height * width * channels;
  const result = new Int8Array(outChannels * k);
  for (let o = 0, to = 0; o < outChannels; o++) {
    for (let h = 0; h < height; h++) {
      for (let w = 0; w < width; w++) {
        const from = o * k + h * strides[0] + w * strides[1];
        for (let c = 0; c < channels; c++) result[to++] = rows[from + c * strides[2]];
      }
    }
  }
  return result;
}

/** Weights, by what they are in the file: layers share them, and programs of other sizes. */
const knownWeights = new WeakMap<object, Map<string, Weights>>();

/** The weights that `data` has in `order`, laid out by `values` once for all layers that share them. */
function sharedWeights(
  shape: WeightShape,
  zeroPoint: Int32Array,
  data: Int8Array | Int32Array,
  order: string,
  values: () => Int8Array,
): Weights {
  let known = knownWeights.get(data);
  if (!known) knownWeights.set(data, (known = new Map<string, Weights>()));
  const key = `${order} ${shape.outChannels} ${shape.taps}`;
  let weights = known.get(key);
  if (!weights) known.set(key, (weights = int8Weights(shape, values())));
  const ownZeroPoints = zeroPoints(shape.outChannels, zeroPoint);
  if (!ownZeroPoints) return weights;
  const ownKey = `${key} ${ownZeroPoints.join()}`;
  let own = known.get(ownKey);
  if (!own) known.set(ownKey, (own = int8Weights(shape, weights.rows(), ownZeroPoints)));
  return own;
}

/**
 * [outChannels][channels][pixels] as [outChannels][pixels][channels]; the data itself where that is the same.
 */
function channelsLast(
  data: Int8Array | Int32Array,
  outChannels: number,
  channels: number,
  pixels: number,
): Int8Array {
  if (data instanceof Int8Array && (pixels === 1 || channels === 1)) return data;
  const result = new Int8Array(data.length);
  for (let o = 0, to = 0; o < outChannels; o++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      let from = o * channels * pixels + pixel;
      for (let c = 0; c < channels; c++, from += pixels) result[to++] = data[from];
    }
  }
  return result;
}

function transposed(data: Int8Array | Int32Array, rows: number, columns: number): Int8Array {
  const result = new Int8Array(data.length);
  for (let row = 0, from = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = data[from++];
  }
  return result;
}

/**
 * The bias in units of the accumulator: as it is where its scale is `s_x · s_w[c]`, which quantizers write;
 * else (another scale, or a float bias) rounded to that scale.
 */
function biasIntegers(
  node: Node,
  context: LoweringContext,
  accumulatorScale: Float32Array,
): Float64Array | string {
  const outChannels = accumulatorScale.length;
  const quantized = context.constant(node, 2);
  const plain = context.plainConstant(node, 2);
  if ((node.inputs[2] ?? '') === '') return new Float64Array(outChannels);
  const shape = (quantized ?? plain)?.shape ?? [0];
  const length = shape.at(-1) ?? 1;
  const isRow = shape.slice(0, -1).every((size) => size === 1);
  if (!isRow || (length !== outChannels && length !== 1)) {
    return 'its bias must be a constant with one value, or one an output channel';
  }
  return Float64Array.from({ length: outChannels }, (_, c) => {
    const i = length === 1 ? 0 : c;
    const unit = accumulatorScale[c];
    if (!quantized) return Math.round(Number(plain!.data[i]) / unit);
    const scale = quantized.scale[quantized.scale.length > 1 ? c : 0];
    const q = quantized.data[i] - quantized.zeroPoint[quantized.zeroPoint.length > 1 ? c : 0];
    // Quantizers may multiply the scales in float64 and round later: a few units in the last place are no
    // other scale.
    return Math.abs(scale - unit) <= 4 * 2 ** -23 * unit ? q : Math.round((q * scale) / unit);
  });
}

/**
 * Bias with the input's zero point folded in, `b − z_x·Σw + K·z_x·z_w`, and the proof that no accumulator,
 * whatever the input, leaves int32: `|bias| + 128·Σ|w| + 128·K·|z_w| < 2³¹`.
 */
function foldZeroPoints(weights: Weights, inputZeroPoint: number, bias: Float64Array): Int32Array | string {
  const { outChannels, k } = weights;
  const sums = weightSums(weights);
  const sumOfMagnitudes = (o: number) =>
    weights
      .rows()
      .subarray(o * k, (o + 1) * k)
      .reduce((total, w) => total + Math.abs(w), 0);
  const folded = new Int32Array(outChannels);
  for (let o = 0; o < outChannels; o++) {
    const zeroPoint = weights.zeroPoint?.[o] ?? 0;
    const value = bias[o] - inputZeroPoint * sums[o] + k * inputZeroPoint * zeroPoint;
    const boundOf = (magnitude: number) => Math.abs(value) + 128 * (magnitude + k * Math.abs(zeroPoint));
    // Adding up magnitudes takes longer than all else, and few layers are anywhere near the limit.
    let bound = boundOf(128 * k);
    if (!(bound < ACCUMULATOR_LIMIT)) bound = boundOf(sumOfMagnitudes(o));
    // Written so that a bias that is not a number fails too.
    if (!(bound < ACCUMULATOR_LIMIT)) {
      return `its accumulator can overflow int32: channel ${o} can reach ${bound} (bias ${bias[o]}, Σ|w| ${sumOfMagnitudes(o)}); its bias is too large for the scales, or its kernel for int8`;
    }
    folded[o] = value;
  }
  return folded;
}

const ACCUMULATOR_LIMIT = 2 ** 31;

/** One zero point an output channel, or undefined where all are 0. */
function zeroPoints(outChannels: number, zeroPoint: Int32Array): Int8Array | undefined {
  if (zeroPoint.every((z) => z === 0)) return undefined;
  return Int8Array.from({ length: outChannels }, (_, c) => zeroPoint[zeroPoint.length > 1 ? c : 0]);
}

function requantizeOf(
  outChannels: number,
  input: Int8Tensor,
  weightScaleOf: (c: number) => number,
  output: Int8Tensor,
  lo: number,
  hi: number,
): Requantize {
  const mantissa = new Uint32Array(outChannels);
  const shift = new Uint8Array(outChannels);
  for (let c = 0; c < outChannels; c++) {
    const multiplier = toMultiplier(requantizeMultiplier(input.scale, weightScaleOf(c), output.scale));
    mantissa[c] = multiplier.mantissa;
    shift[c] = multiplier.shift;
  }
  return { mantissa, shift, zeroPoint: output.zeroPoint, lo, hi };
}
