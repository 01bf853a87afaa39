/**
 * The reference operators against their formulas: one output element at a time, from real indices, rounded in exact integers where the
 * reference uses float64.
 */
import { describe, expect, it } from 'vitest';
import type {
  ArgMaxOperation,
  AveragePool2dOperation,
  BuiltinOperation,
  BinaryOperation,
  Conv2dOperation,
  LogSoftmaxOperation,
  MaxPool2dOperation,
  MatMulOperation,
  MoveOperation,
  NormalizeOperation,
  ProgramTensor,
  ReduceOperation,
  Requantize,
  ResizeOperation,
  Rescale,
  SoftmaxOperation,
  Window2d,
} from '../../src/program/program.ts';
import { elementCount, isHostTensor, paddedChannels } from '../../src/program/program.ts';
import { rootThresholds } from '../../src/ops/reduce/lower.ts';
import { moreOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { fullCases, type OperationCase } from '../support/cases.ts';
import { compareBuffers } from '../support/report.ts';

type Element = (n: number, h: number, w: number, c: number) => number;

/** round(value / 2^shift), ties to even, in exact integers. */
function shiftRounded(value: bigint, shift: number): number {
  const unit = 1n << BigInt(shift);
  const floor = value >> BigInt(shift);
  const twice = 2n * (value - floor * unit);
  return Number(floor + (twice > unit || (twice === unit && floor % 2n !== 0n) ? 1n : 0n));
}

const clamp = (value: number, { lo, hi }: { lo: number; hi: number }) => Math.min(hi, Math.max(lo, value));

const requantized = (acc: number, q: Requantize, c: number) =>
  clamp(q.zeroPoint + shiftRounded(BigInt(acc) * BigInt(q.mantissa[c]), q.shift[c]), q);

function rescaled(values: readonly number[], rescale: Rescale, multipliers: readonly number[]): number {
  const sum = values.reduce((total, x, i) => total + BigInt(x) * BigInt(multipliers[i]), 0n);
  return clamp(rescale.zeroPoint + shiftRounded(sum, rescale.shift), rescale);
}

/** Positions of a window's taps in the image, undefined for padding. */
function taps(
  window: Window2d,
  [height, width]: readonly number[],
  h: number,
  w: number,
): ([number, number] | undefined)[] {
  const { kernel, stride, pads, dilation } = window;
  return Array.from({ length: kernel[0] * kernel[1] }, (_, i) => {
    const row = h * stride[0] - pads[0] + Math.floor(i / kernel[1]) * dilation[0];
    const column = w * stride[1] - pads[1] + (i % kernel[1]) * dilation[1];
    return row >= 0 && row < height && column >= 0 && column < width ? [row, column] : undefined;
  });
}

function convolution(op: Conv2dOperation, x: Element, input: ProgramTensor, side: Element): Element {
  const { inChannels, zeroPoint } = op.weights;
  const rows = op.weights.rows();
  const outChannels = op.bias.length / op.groups;
  const acc: Element = (n, h, w, c) => {
    let sum = op.bias[c];
    taps(op, input.image, h, w).forEach((at, tap) => {
      for (let i = 0; i < inChannels; i++) {
        const channel = Math.floor(c / outChannels) * inChannels + i;
        const value = at ? x(n, at[0], at[1], channel) : input.zeroPoint;
        const weight = rows[(c * op.kernel[0] * op.kernel[1] + tap) * inChannels + i];
        sum += value * (weight - (zeroPoint?.[c] ?? 0));
      }
    });
    return sum;
  };
  const { requantize, residual } = op;
  if (!requantize) return acc;
  const y: Element = (n, h, w, c) => requantized(acc(n, h, w, c), requantize, c);
  if (op.pool) {
    return (n, h, w, c) =>
      Math.max(...[0, 1].flatMap((i) => [0, 1].map((j) => y(n, 2 * h + i, 2 * w + j, c))));
  }
  if (!residual) return y;
  return (n, h, w, c) => {
    const values = [y(n, h, w, c), side(n, h, w, c)].map((v, i) => v - residual.inputZeroPoints[i]);
    return rescaled(values, residual, [...residual.multipliers]);
  };
}

function maxPool(op: MaxPool2dOperation, x: Element, input: ProgramTensor): Element {
  return (n, h, w, c) =>
    Math.max(...taps(op, input.image, h, w).flatMap((at) => (at ? [x(n, at[0], at[1], c)] : [])));
}

function averagePool(op: AveragePool2dOperation, x: Element, input: ProgramTensor): Element {
  return (n, h, w, c) => {
    const all = taps(op, input.image, h, w);
    const values = all.flatMap((at) => (at ? [x(n, at[0], at[1], c) - op.rescale.inputZeroPoints[0]] : []));
    const { kernel, stride, pads, dilation, overhang } = op;
    // Whether tap i is in the image or in padding that counts: none of it begins before the padding.
    const counts = (i: number) =>
      h * stride[0] - pads[0] + Math.floor(i / kernel[1]) * dilation[0] <
        input.image[0] + pads[2] - overhang[0] &&
      w * stride[1] - pads[1] + (i % kernel[1]) * dilation[1] < input.image[1] + pads[3] - overhang[1];
    const counted = op.countIncludePad ? all.filter((_, i) => counts(i)).length : values.length;
    const multiplier = op.rescale.multipliers[counted - 1];
    return rescaled(
      values,
      op.rescale,
      values.map(() => multiplier),
    );
  };
}

function binary(
  { function: of, rescale, table }: BinaryOperation,
  [a, b]: readonly Element[],
  sizes: readonly number[],
): Element {
  return (n, ...at) => {
    const first = a(n, ...at) - rescale.inputZeroPoints[0];
    const own = at.map((index, axis) => Math.min(index, sizes[axis] - 1)) as typeof at;
    const second = b(n, ...own) - rescale.inputZeroPoints[1];
    if (of === 'maximum') return clamp(Math.max(first, second), rescale);
    if (of === 'minimum') return clamp(Math.min(first, second), rescale);
    if (of === 'entry') return clamp(table![(first + 128) * 256 + second + 128], rescale);
    return of === 'sum'
      ? rescaled([first, second], rescale, [...rescale.multipliers])
      : rescaled([first * second], rescale, [...rescale.multipliers]);
  };
}

/** Exactly, in BigInt: the rounded quotient of all taps. */
function resize({ rows, columns, requantize }: ResizeOperation, x: Element, input: ProgramTensor): Element {
  return (n, h, w, c) => {
    let sum = 0n;
    for (let r = 0; r < rows.count; r++) {
      for (let k = 0; k < columns.count; k++) {
        const [row, column] = [h * rows.count + r, w * columns.count + k];
        const value = x(n, rows.places[row], columns.places[column], c) - input.zeroPoint;
        sum += BigInt(rows.weights[row]) * BigInt(columns.weights[column]) * BigInt(value);
      }
    }
    const { mantissa, shift, zeroPoint } = requantize;
    return clamp(zeroPoint + shiftRounded(sum * BigInt(mantissa), shift), requantize);
  };
}

/** Exactly, in BigInt: the product of the sums, rounded. */
function matMul(
  { requantize }: MatMulOperation,
  [a, b]: readonly Element[],
  [aTensor, bTensor]: readonly ProgramTensor[],
): Element {
  return (n, r, h, w) => {
    let sum = 0n;
    for (let k = 0; k < aTensor.image[2]; k++) {
      sum += BigInt(a(n, r, h, k) - aTensor.zeroPoint) * BigInt(b(n, r, w, k) - bTensor.zeroPoint);
    }
    if (!requantize) return Number(sum);
    const { mantissa, shift, zeroPoint } = requantize;
    return clamp(zeroPoint + shiftRounded(sum * BigInt(mantissa), shift), requantize);
  };
}

/** All elements that meet in one, listed. */
function reduce({ function: of, axes, finish }: ReduceOperation, x: Element, input: ProgramTensor): Element {
  const places = (axis: number, at: number) =>
    axes[axis] ? Array.from({ length: input.image[axis] }, (_, i) => i) : [at];
  return (n, h, w, c) => {
    const values = places(0, h).flatMap((row) =>
      places(1, w).flatMap((column) => places(2, c).map((channel) => x(n, row, column, channel))),
    );
    if (of === 'max') return values.reduce((a, b) => Math.max(a, b));
    if (of === 'min') return values.reduce((a, b) => Math.min(a, b));
    const differences = values.map((value) => value - input.zeroPoint);
    const terms =
      of === 'sum' ? differences : differences.map((d) => (of === 'sumOfSquares' ? d * d : Math.abs(d)));
    const sum = terms.reduce((total, term) => total + term, 0);
    if (finish.kind === 'thresholds')
      return finish.lo + finish.thresholds.filter((least) => sum >= least).length;
    if (finish.kind === 'select') throw new Error('a sum is not selected');
    const { mantissa, shift, zeroPoint } = finish.requantize;
    return clamp(zeroPoint + shiftRounded(BigInt(sum) * BigInt(mantissa), shift), finish.requantize);
  };
}

/** Exactly, in BigInt: the rounded quotient. */
function softmax({ exponentials, requantize }: SoftmaxOperation, x: Element, channels: number): Element {
  const pixels = new Map<string, { readonly e: readonly bigint[]; readonly divisor: bigint }>();
  const pixelAt = (n: number, h: number, w: number) => {
    const values = Array.from({ length: channels }, (_, i) => x(n, h, w, i));
    const e = values.map((value) => BigInt(exponentials[Math.max(...values) - value]));
    return { e, divisor: e.reduce((sum, each) => sum + each) << BigInt(requantize.shift) };
  };
  return (n, h, w, c) => {
    const place = [n, h, w].join();
    const { e, divisor } = pixels.get(place) ?? pixelAt(n, h, w);
    pixels.set(place, { e, divisor });
    const twice = 2n * e[c] * BigInt(requantize.mantissa);
    const down = twice / (2n * divisor);
    const rest = twice - 2n * divisor * down;
    const rounded = down + (rest > divisor || (rest === divisor && down % 2n === 1n) ? 1n : 0n);
    return clamp(requantize.zeroPoint + Number(rounded), requantize);
  };
}

/** Exactly, in BigInt: the logarithm interpolated, one rounding. */
function logSoftmax(op: LogSoftmaxOperation, x: Element, channels: number): Element {
  return (n, h, w, c) => {
    const values = Array.from({ length: channels }, (_, i) => x(n, h, w, i));
    const largest = Math.max(...values);
    const sum = values.reduce((total, value) => total + BigInt(op.exponentials[largest - value]), 0n);
    const top = BigInt(sum.toString(2).length - 1);
    // Of 2²⁴ parts between two powers of two.
    const place = Number((sum << 24n) / (1n << top)) - 2 ** 24;
    const [low, high] = [0, 1].map((i) => BigInt(op.logarithms[(place >> 16) + i]));
    const between = ((high - low) * BigInt(place & 0xffff)) >> 16n;
    const exponent = top - BigInt(31 - Math.ceil(Math.log2(channels)));
    const logarithm = exponent * BigInt(op.logarithms[256]) + low + between;
    return clamp(
      op.zeroPoint - shiftRounded(BigInt(op.steps[largest - values[c]]) + logarithm, op.shift),
      op,
    );
  };
}

/** Exactly, in BigInt, each element by itself; its root from an integer square root instead of a search. */
function normalize(op: NormalizeOperation, x: Element, [height, width]: readonly number[]): Element {
  const groups = new Map<string, { readonly sum: bigint; readonly j: number; readonly r: bigint }>();
  const count = BigInt(op.groupChannels * (op.isSpatial ? height * width : 1));
  const floor = (value: bigint, bits: number) => value >> BigInt(bits);
  const groupAt = (n: number, h: number, w: number, c: number) => {
    const first = op.isSpatial ? c - (c % op.groupChannels) : 0;
    const rows = op.isSpatial ? [...Array(height).keys()] : [h];
    const columns = op.isSpatial ? [...Array(width).keys()] : [w];
    let [sum, squares] = [0, 0];
    for (const row of rows) {
      for (const column of columns) {
        for (let i = first; i < first + op.groupChannels; i++) {
          const u = x(n, row, column, i) - op.offset;
          if (op.isCentred) sum += u;
          squares += u * u;
        }
      }
    }
    const exact =
      (count * BigInt(squares) - BigInt(sum) ** 2n) * 2n ** BigInt(op.varianceBits) + BigInt(op.epsilon);
    const variance = exact > 1n ? exact : 1n;
    let j = -20;
    while (variance * 4n ** 20n >= 2n ** 30n * 4n ** BigInt(j + 20)) j++;
    const top = (variance * 4n ** 20n) / 4n ** BigInt(j + 20);
    let r = 2n ** 16n - 1n;
    while (r * (r - 1n) * top >= 2n ** 60n) r--;
    return { sum: BigInt(sum), j, r };
  };
  return (n, h, w, c) => {
    const key = op.isSpatial ? `${n} ${Math.floor(c / op.groupChannels)}` : `${n} ${h} ${w}`;
    const group = groups.get(key) ?? groupAt(n, h, w, c);
    groups.set(key, group);
    const u = BigInt(x(n, h, w, c) - op.offset);
    const difference = floor(count * u - group.sum, op.droppedBits);
    const left = op.rootBits - group.j;
    const t = floor(difference * 2n ** BigInt(left) * group.r + 2n ** 14n, 15);
    const steps = floor(t * BigInt(op.gamma[c]) + 2n ** 15n, 16) + BigInt(op.beta[c]);
    for (const value of [difference * 2n ** BigInt(left), t, steps]) {
      if (BigInt.asIntN(32, value) !== value && difference !== 0n) throw new Error(`${value} leaves 32 bits`);
    }
    return clamp(op.zeroPoint + shiftRounded(steps, op.shift), op);
  };
}

function argMax({ function: of, isLast }: ArgMaxOperation, x: Element, image: readonly number[]): Element {
  const [height, width, channels] = image;
  return (n, _, __, pixel) => {
    const place = [Math.floor(pixel / width) % height, pixel % width] as const;
    const values = Array.from({ length: channels }, (_, i) => x(n, ...place, i));
    const best = of === 'max' ? Math.max(...values) : Math.min(...values);
    return isLast ? values.lastIndexOf(best) : values.indexOf(best);
  };
}

/** Bytes of images, found by the offsets. */
function move(op: MoveOperation, images: readonly ((n: number, offset: number) => number)[]): Element {
  return (n, h, w, c) => {
    const inside = (at: number, i: number, axis: number) =>
      at >= op.parts[i].first[axis] && at < op.parts[i].first[axis] + op.parts[i].size[axis];
    const i = op.parts.findIndex((_, k) => [h, w, c].every((at, axis) => inside(at, k, axis)));
    const { first, size, source, table } = op.parts[i];
    const [row, column, lane] = [h - first[0], w - first[1], c - first[2]];
    const offset =
      source.kind === 'axes'
        ? source.rows[row] + source.columns[column] + source.channels[lane]
        : source.offsets[(row * size[1] + column) * size[2] + lane];
    if (offset < 0) return op.fill;
    const q = images[i](n, offset);
    return table ? table[q + 128] : q;
  };
}

function elementOf(tensor: ProgramTensor, data: Int8Array): Element {
  const [height, width, channels] = tensor.image;
  return (n, h, w, c) => data[((n * height + h) * width + w) * paddedChannels(channels) + c];
}

function expectedOf({ program, inputs, batch }: OperationCase): Int8Array | Int32Array {
  const op = program.operations[0] as BuiltinOperation;
  const tensors = op.inputs.map((id) => program.tensors[id]);
  const elements = tensors.map((tensor) => elementOf(tensor, inputs.get(tensor.id)!));
  const output = program.tensors[op.output];
  const element = (() => {
    switch (op.kind) {
      case 'conv2d':
        return convolution(op, elements[0], tensors[0], elements[1]);
      case 'maxPool2d':
        return maxPool(op, elements[0], tensors[0]);
      case 'averagePool2d':
        return averagePool(op, elements[0], tensors[0]);
      case 'binary':
        return binary(op, elements, tensors[1].image);
      case 'constant':
        return ((_, h, w, c) => {
          const [, width, channels] = output.image;
          return op.values[(h * width + w) * paddedChannels(channels) + c];
        }) as Element;
      case 'move':
        return move(
          op,
          tensors.map((tensor) => {
            const data = inputs.get(tensor.id)!;
            return (n, offset) => data[n * elementCount(tensor, 1) + offset];
          }),
        );
      case 'matMul':
        return matMul(op, elements, tensors);
      case 'softmax':
        return softmax(op, elements[0], tensors[0].image[2]);
      case 'logSoftmax':
        return logSoftmax(op, elements[0], tensors[0].image[2]);
      case 'normalize':
        return normalize(op, elements[0], tensors[0].image);
      case 'argMax':
        return argMax(op, elements[0], tensors[0].image);
      case 'reduce':
        return reduce(op, elements[0], tensors[0]);
      case 'resize':
        return resize(op, elements[0], tensors[0]);
      case 'lookup':
        return ((n, h, w, c) => {
          const isOfChannels = op.table.length > 256;
          return op.table[(isOfChannels ? 256 * c : 0) + elements[0](n, h, w, c) + 128];
        }) as Element;
    }
  })();
  const [height, width, channels] = output.image;
  const count = elementCount(output, batch);
  const data = output.type === 'int8' ? new Int8Array(count) : new Int32Array(count);
  const stored = isHostTensor(output) ? channels : paddedChannels(channels);
  for (let i = 0; i < count; i++) {
    const c = i % stored;
    const pixel = Math.floor(i / stored);
    const [n, h, w] = [
      Math.floor(pixel / (height * width)),
      Math.floor(pixel / width) % height,
      pixel % width,
    ];
    data[i] = c < channels ? element(n, h, w, c) : output.zeroPoint;
  }
  return data;
}

const registry = createOperatorRegistry(moreOperators);
const cases = fullCases(250);

describe.each([...new Set(cases.map(({ kind }) => kind))])('%s', (kind) => {
  it.each(cases.filter((each) => each.kind === kind))('$name', async (each) => {
    using session = createReferenceSession(each.program, registry);
    const inputs = new Map([...each.inputs].map(([id, data]) => [id, { kind: 'quantized', data } as const]));
    const { tensors } = await session.run(inputs, { batch: each.batch });
    const output = each.program.tensors[each.program.operations[0].output];
    const subject = { kernel: kind, variant: 'reference', seed: each.name };
    const report = compareBuffers(subject, output, each.batch, tensors.get(output.id)!, expectedOf(each));
    if (report) expect.fail(report);
  });
});

it.each([
  [1, 0, -128, 127],
  [0.37, -128, -128, 127],
  [2.5, 30, -10, 100],
  [0.5, 3, 3, 90],
])(
  'the thresholds of roots times %d are where the rounded root steps (z %i, %i … %i)',
  (ratio, z, lo, hi) => {
    const thresholds = rootThresholds(ratio, z, lo, hi);
    for (let sum = 0; sum < 70_000; sum++) {
      const root = Math.sqrt(sum) * ratio;
      const nearest = Math.round(root);
      const rounded = root % 1 === 0.5 && nearest % 2 === 1 ? nearest - 1 : nearest;
      const reached = lo + thresholds.filter((least) => sum >= least).length;
      if (reached !== clamp(z + rounded, { lo, hi })) expect.fail(`${sum}: ${reached}`);
    }
  },
);
