/**
 * Small valid integer programs of several operations: branches, concatenations, residuals, every operation
 * kind. Seeded.
 */
import { commonRescale } from '../../src/program/multiplier.ts';
import type {
  AveragePool2dOperation,
  BinaryOperation,
  Conv2dOperation,
  Int8Tensor,
  IntegerProgram,
  LookupOperation,
  MaxPool2dOperation,
  MoveOperation,
  Window2d,
} from '../../src/program/program.ts';
import { int8Weights } from '../../src/program/weights.ts';
import { windowOutput } from '../../src/ops/window.ts';
import {
  createProgramBuilder,
  joined,
  multiplyBy,
  rescaleBy,
  requantizeBy,
  selection,
} from './program-builder.ts';
import { createRandom } from './random.ts';

/** @param operations number of operations, about */
export function randomProgram(seed: number, operations = 8): IntegerProgram {
  const random = createRandom(seed);
  const builder = createProgramBuilder();
  const zeroPoint = () => random.int(-128, 127);
  const live: Int8Tensor[] = [
    builder.input([random.int(4, 12), random.int(4, 12), random.pick([1, 3, 4, 6, 16])], zeroPoint()),
  ];
  if (random.chance(0.3)) live.push(builder.input([5, 5, 8], zeroPoint()));

  /** Recent tensors more often, so that graphs are deep as well as wide. */
  const source = () => live[Math.max(0, live.length - 1 - Math.floor(random.next() ** 2 * live.length))];
  const sameShape = (a: Int8Tensor, axes: number) =>
    live.filter((b) => b !== a && a.image.slice(0, axes).every((size, i) => size === b.image[i]));

  function window(input: Int8Tensor): Window2d {
    const size = Math.min(random.pick([1, 2, 3, 3, 3, 5]), input.image[0], input.image[1]);
    const pad = random.chance(0.7) ? Math.floor(size / 2) : 0;
    const step = random.chance(0.7) ? 1 : 2;
    return { kernel: [size, size], stride: [step, step], pads: [pad, pad, pad, pad], dilation: [1, 1] };
  }

  function conv(name: string): Int8Tensor {
    const input = source();
    const shape = window(input);
    const channels = input.image[2];
    const groups = random.chance(0.2) ? channels : 1;
    const out = groups > 1 ? groups * random.int(1, 2) : random.pick([1, 3, 4, 8, 10, 17, 32]);
    const k = shape.kernel[0] * shape.kernel[1] * (channels / groups);
    const weights = random.int8s(out * k);
    const hasWeightZeroPoint = random.chance(0.15);
    const [height, width] = windowOutput(shape, input.image);
    const pool = height > 1 && width > 1 && random.chance(0.2);
    const outShape = pool ? ([height >> 1, width >> 1, out] as const) : ([height, width, out] as const);
    const side = pool
      ? undefined
      : live.find((b) => b !== input && b.image.every((size, i) => size === outShape[i]));
    const residual = side !== undefined && random.chance(0.6) ? side : undefined;
    const output = builder.tensor(outShape, zeroPoint());
    const spread = 50 / (74 * 74 * Math.sqrt(k));
    const between = residual ? zeroPoint() : output.zeroPoint;
    const requantize = requantizeBy(out, () => spread * (0.3 + 2 * random.next()), between);
    builder.emit<Conv2dOperation>({
      kind: 'conv2d',
      name,
      inputs: residual ? [input.id, residual.id] : [input.id],
      output: output.id,
      ...shape,
      groups,
      weights: int8Weights(
        { outChannels: out, taps: shape.kernel[0] * shape.kernel[1], inChannels: channels / groups },
        weights,
        hasWeightZeroPoint ? random.int8s(out) : undefined,
      ),
      bias: Int32Array.from({ length: out }, (_, c) => {
        const sum = weights.subarray(c * k, (c + 1) * k).reduce((total, w) => total + w, 0);
        return random.int(-5000, 5000) - input.zeroPoint * sum;
      }),
      requantize,
      pool,
      residual: residual
        ? rescaleBy([0.7, 0.6], [between, residual.zeroPoint], output.zeroPoint, output.zeroPoint, 127)
        : null,
    });
    return output;
  }

  function maxPool(name: string): Int8Tensor {
    const input = source();
    const shape = window(input);
    const [height, width] = windowOutput(shape, input.image);
    const output = builder.tensor([height, width, input.image[2]], input.zeroPoint);
    builder.emit<MaxPool2dOperation>({
      kind: 'maxPool2d',
      name,
      inputs: [input.id],
      output: output.id,
      ...shape,
    });
    return output;
  }

  function averagePool(name: string): Int8Tensor {
    const input = source();
    const shape = window(input);
    const [height, width] = windowOutput(shape, input.image);
    const output = builder.tensor([height, width, input.image[2]], zeroPoint());
    const counts = Array.from({ length: shape.kernel[0] * shape.kernel[1] }, (_, i) => i + 1);
    const common = commonRescale(
      counts.map((count) => 1.3 / count),
      counts,
      true,
    );
    builder.emit<AveragePool2dOperation>({
      kind: 'averagePool2d',
      name,
      inputs: [input.id],
      output: output.id,
      ...shape,
      countIncludePad: random.chance(0.5),
      overhang: [0, 0],
      rescale: {
        ...common,
        inputZeroPoints: Int32Array.of(input.zeroPoint),
        zeroPoint: output.zeroPoint,
        lo: -128,
        hi: 127,
      },
    });
    return output;
  }

  function add(name: string): Int8Tensor {
    const a = source();
    const others = sameShape(a, 3);
    const b = others.length > 0 ? random.pick(others) : a;
    const output = builder.tensor(a.image, zeroPoint());
    builder.emit<BinaryOperation>({
      kind: 'binary',
      function: 'sum',
      name,
      inputs: [a.id, b.id],
      output: output.id,
      rescale: rescaleBy(
        [0.2 + random.next(), 0.2 + random.next()],
        [a.zeroPoint, b.zeroPoint],
        output.zeroPoint,
      ),
    });
    return output;
  }

  function mul(name: string): Int8Tensor {
    const a = source();
    const others = sameShape(a, 3);
    const b =
      others.length > 0 && random.chance(0.4) ? random.pick(others) : globalMaxPool(`${name} gate`, a);
    const output = builder.tensor(a.image, zeroPoint());
    builder.emit<BinaryOperation>({
      kind: 'binary',
      function: 'product',
      name,
      inputs: [a.id, b.id],
      output: output.id,
      rescale: multiplyBy((0.2 + random.next()) / 90, [a.zeroPoint, b.zeroPoint], output.zeroPoint),
    });
    return output;
  }

  function globalMaxPool(name: string, input: Int8Tensor): Int8Tensor {
    const [height, width, channels] = input.image;
    const output = builder.tensor([1, 1, channels], input.zeroPoint);
    builder.emit<MaxPool2dOperation>({
      kind: 'maxPool2d',
      name,
      inputs: [input.id],
      output: output.id,
      kernel: [height, width],
      stride: [1, 1],
      pads: [0, 0, 0, 0],
      dilation: [1, 1],
    });
    return output;
  }

  function concat(name: string): Int8Tensor {
    const first = source();
    const parts = [first, ...sameShape(first, 2).slice(-2)];
    const channels = parts.reduce((sum, part) => sum + part.image[2], 0);
    const output = builder.tensor([first.image[0], first.image[1], channels], zeroPoint());
    const rescales = parts.map((part) =>
      rescaleBy([0.4 + random.next()], [part.zeroPoint], output.zeroPoint),
    );
    builder.emit<MoveOperation>({
      kind: 'move',
      name,
      inputs: parts.map((part) => part.id),
      output: output.id,
      parts: joined(parts, rescales),
      fill: output.zeroPoint,
    });
    return output;
  }

  function gather(name: string): Int8Tensor {
    const input = source();
    const channels = Int32Array.from({ length: random.pick([1, 3, 8, 13]) }, () =>
      random.int(0, input.image[2] - 1),
    );
    const output = builder.tensor([input.image[0], input.image[1], channels.length], input.zeroPoint);
    builder.emit<MoveOperation>({
      kind: 'move',
      name,
      inputs: [input.id],
      output: output.id,
      parts: [selection(input, output, channels)],
      fill: output.zeroPoint,
    });
    return output;
  }

  function lookup(name: string): Int8Tensor {
    const input = source();
    const output = builder.tensor(input.image, zeroPoint());
    builder.emit<LookupOperation>({
      kind: 'lookup',
      name,
      inputs: [input.id],
      output: output.id,
      table: random.int8s(256),
    });
    return output;
  }

  for (let i = 0; i < operations; i++) {
    const make = random.pick([conv, conv, conv, maxPool, averagePool, add, mul, concat, gather, lookup]);
    live.push(make(`op${i}`));
  }
  return builder.build(`random program ${seed}`);
}
