/** One value of a convolution, step by step, in arithmetic of its own: what the run stored has to come out. */
import type { FixedModel } from 'octetjs';
import type { Conv2dOperation } from 'octetjs/extend';
import type { Explanation, Pixels, Place, Requantized } from './protocol.ts';

/** Null where the layer is no convolution, or its input is not kept. */
export async function explain(
  model: FixedModel,
  pixels: Pixels,
  layer: string,
  at: Place,
): Promise<Explanation | null> {
  const { tensors, operations } = model.program;
  const operation = operations.find(({ name }) => name === layer);
  if (operation?.kind !== 'conv2d') return null;
  const conv = operation as Conv2dOperation;
  const values = await model.values({ [model.inputs[0].name]: pixels });
  const [input, output] = [tensors[conv.inputs[0]], tensors[conv.output]].map(({ name }) => values.get(name));
  if (!input || !output) return null;
  const stored = output.data[index(output.shape, at)];

  const places = conv.pool
    ? [0, 1, 2, 3].map((corner) => ({
        ...at,
        row: 2 * at.row + (corner >> 1),
        column: 2 * at.column + (corner & 1),
      }))
    : [at];
  const windows = places.map((place) => accumulate(conv, input, place));
  const results = windows.map(({ acc }) => requantize(conv, acc, at.channel));
  const best = conv.pool ? argMax(results.map((result) => result!.byte)) : 0;
  const { residual } = conv;
  const side = residual ? values.get(tensors[conv.inputs[1]].name) : undefined;
  if (residual && !side) return null;
  return {
    at,
    ...windows[best],
    bias: conv.bias[at.channel],
    requantized: results[best],
    pooled: conv.pool ? results.map((result) => result!.byte) : null,
    added: residual && add(residual, results[best]!.byte, side!.data[index(side!.shape, at)]),
    stored,
  };
}

type Values = Awaited<ReturnType<FixedModel['values']>> extends ReadonlyMap<string, infer T> ? T : never;

function index([, , width, channels]: Values['shape'], { row, column, channel }: Place): number {
  return (row * width + column) * channels + channel;
}

function argMax(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

function accumulate(conv: Conv2dOperation, input: Values, { row, column, channel }: Place) {
  const [, height, width, channels] = input.shape;
  const { kernel, stride, pads, dilation, groups, weights, bias } = conv;
  const { outChannels, inChannels, k } = weights;
  const first = Math.floor((channel * groups) / outChannels) * inChannels;
  const zero = typeof input.zeroPoint === 'number' ? input.zeroPoint : 0;
  const x = new Int8Array(k);
  const isPadding = new Uint8Array(kernel[0] * kernel[1]);
  for (let ky = 0, to = 0, tap = 0; ky < kernel[0]; ky++) {
    for (let kx = 0; kx < kernel[1]; kx++, tap++) {
      const inRow = row * stride[0] - pads[0] + ky * dilation[0];
      const inColumn = column * stride[1] - pads[1] + kx * dilation[1];
      const isInside = inRow >= 0 && inRow < height && inColumn >= 0 && inColumn < width;
      isPadding[tap] = isInside ? 0 : 1;
      const from = (inRow * width + inColumn) * channels + first;
      for (let c = 0; c < inChannels; c++) x[to++] = isInside ? input.data[from + c] : zero;
    }
  }
  const z = weights.zeroPoint?.[channel] ?? 0;
  const w = Int16Array.from(weights.rows().subarray(channel * k, (channel + 1) * k), (weight) => weight - z);
  let acc = bias[channel];
  for (let i = 0; i < k; i++) acc += x[i] * w[i];
  return { kernel, inChannels, input: x, isPadding, weights: w, inputZeroPoint: zero, acc };
}

function requantize(conv: Conv2dOperation, acc: number, channel: number): Requantized | null {
  if (!conv.requantize) return null;
  const { mantissa, shift, zeroPoint, lo, hi } = conv.requantize;
  const product = BigInt(acc) * BigInt(mantissa[channel]);
  const rounded = shiftRight(product, shift[channel]);
  const byte = clamp(rounded + zeroPoint, lo, hi);
  return {
    mantissa: mantissa[channel],
    shift: shift[channel],
    product: product.toString(),
    rounded,
    zeroPoint,
    lo,
    hi,
    byte,
  };
}

function add(residual: NonNullable<Conv2dOperation['residual']>, own: number, other: number) {
  const { multipliers, inputZeroPoints, shift, zeroPoint, lo, hi } = residual;
  const sum = (own - inputZeroPoints[0]) * multipliers[0] + (other - inputZeroPoints[1]) * multipliers[1];
  const rounded = shiftRight(BigInt(sum), shift);
  return {
    other,
    multipliers: [multipliers[0], multipliers[1]] as const,
    inputZeroPoints: [inputZeroPoints[0], inputZeroPoints[1]] as const,
    shift,
    rounded,
    zeroPoint,
    byte: clamp(rounded + zeroPoint, lo, hi),
  };
}

/** `value / 2^shift`, to the nearest integer, ties to even. */
function shiftRight(value: bigint, shift: number): number {
  if (shift === 0) return Number(value);
  const bits = BigInt(shift);
  const floor = value >> bits;
  const rest = value - (floor << bits);
  const half = 1n << (bits - 1n);
  const up = rest > half || (rest === half && (floor & 1n) === 1n);
  return Number(up ? floor + 1n : floor);
}

function clamp(value: number, lo: number, hi: number): number {
  return Math.min(Math.max(value, lo), hi);
}
