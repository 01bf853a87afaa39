/**
 * Random QDQ graphs, in the shapes that quantizers write and in those that none does: mixed ranks, raw readers beside quantized ones,
 * clamps, several outputs, odd sizes, shared constants, uint8 and int8. Seeded.
 */
import type { Attribute, Graph } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { Problems } from '../../src/graph/problems.ts';
import { createQdqGraph } from './qdq-graph.ts';
import { createRandom } from './random.ts';

interface Value {
  readonly name: string;
  /** Typical size of its real values. */
  readonly size: number;
  /** Where it was dequantized just now: its quantization. */
  readonly quantized?: Quantization;
}

interface Quantization {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly dtype: 'int8' | 'uint8';
}

/** Whether two shapes broadcast as in NumPy, names of sizes compared as they stand. */
function canBroadcast(a: readonly (number | string)[], b: readonly (number | string)[]): boolean {
  const [long, short] = a.length < b.length ? [b, a] : [a, b];
  const last = long.slice(long.length - short.length);
  return short.every((size, i) => size === last[i] || size === 1 || last[i] === 1);
}

const UNARY = [
  'Abs',
  'Elu',
  'HardSigmoid',
  'HardSwish',
  'LeakyRelu',
  'Neg',
  'Relu',
  'Sigmoid',
  'Softplus',
  'Softsign',
  'Tanh',
];

const REDUCTIONS = [
  'ReduceL1',
  'ReduceL2',
  'ReduceMax',
  'ReduceMean',
  'ReduceMin',
  'ReduceSum',
  'ReduceSumSquare',
];

/** A graph for `batch` images. */
export function randomQdqGraph(seed: number, batch: number): Graph {
  const random = createRandom(seed);
  const b = createQdqGraph();
  /** How often something is done that no quantizer does; most graphs do nothing of it. */
  const oddity = random.pick([0, 0, 0.05, 0.15]);
  const odd = () => random.chance(oddity);
  const live: Value[] = [];
  /** Results of what no quantizer writes: all of them are outputs. */
  const strange: Value[] = [];
  const weights = new Map<string, { readonly name: string; readonly scales: readonly number[] }>();

  const shapeOf = (name: string): readonly (number | string)[] => {
    const problems = new Problems();
    const shape = inferShapes(b.build(), problems).values.get(name)?.shape;
    if (!shape) throw new Error(`seed ${seed}: no shape for ${name}: ${JSON.stringify(problems.list)}`);
    return shape;
  };
  const sizesOf = ({ name }: Value): number[] => shapeOf(name).slice(1).map(Number);
  const isImage = (value: Value) => shapeOf(value.name).length === 4;
  const source = (fits: (value: Value) => boolean = () => true): Value | undefined => {
    const fitting = live.filter(
      (value) =>
        (value.quantized !== undefined || odd()) && sizesOf(value).every(Number.isInteger) && fits(value),
    );
    return fitting.length === 0 ? undefined : random.pick(fitting.slice(-4));
  };
  const scalar = (value: number) => {
    const rank = random.pick([0, 0, 0, 1, odd() ? 5 : 2]);
    return b.constant(`c${b.build().constants.size}`, Array<number>(rank).fill(1), Float32Array.of(value));
  };
  const numbers = (...values: readonly number[]) =>
    b.constant(`n${b.build().constants.size}`, [values.length], BigInt64Array.from(values, BigInt));

  function newQuantization(size: number, isPositive = false): Quantization {
    const dtype = random.pick(['int8', 'int8', 'uint8'] as const);
    const least = dtype === 'int8' ? -128 : 0;
    const zeroPoint =
      isPositive && random.chance(0.7)
        ? least
        : least + random.pick([128, random.int(90, 160), random.int(0, 255)]);
    return { scale: Math.fround((size * (1 + 3 * random.next())) / 128), zeroPoint, dtype };
  }

  function pair(value: string, size: number, quantization: Quantization): Value {
    const { scale, zeroPoint, dtype } = quantization;
    return { name: b.qdq(value, scale, zeroPoint, dtype), size, quantized: quantization };
  }

  /** Clamps and quantizes a result; now and then leaves it raw, or gives it several readers. */
  function finish(value: string, size: number, like?: Quantization): void {
    let name = value;
    let isPositive = false;
    const clamp = () => {
      if (random.chance(0.5)) {
        isPositive = true;
        return b.node('Relu', [name]);
      }
      const low = random.chance(0.5) ? 0 : -size * random.next();
      isPositive = low === 0;
      const bounds = [scalarOf(low), scalarOf(size * (0.5 + random.next()))];
      return b.node('Clip', [name, ...bounds]);
    };
    if (odd()) live.push({ name, size });
    while (random.chance(0.3)) name = clamp();
    if (odd()) live.push({ name, size });
    const quantization = like && random.chance(0.7) ? like : newQuantization(size, isPositive);
    if (odd() && shapeOf(name).length === 4)
      live.push(pair(b.node('MaxPool', [name], { kernel_shape: [1, 1] }), size, quantization));
    if (odd()) live.push(pair(name, size, random.chance(0.5) ? quantization : newQuantization(size)));
    // A raw result: the last layer's accumulators, or a selection of integers that are quantized already.
    live.push(odd() ? { name, size } : pair(name, size, quantization));
  }

  /** Bounds of a Clip have no dimensions. */
  function scalarOf(value: number): string {
    return b.constant(`b${b.build().constants.size}`, [], Float32Array.of(value));
  }

  /** Weights [outChannels first, or last] of a layer with `k` products a sum. */
  function layerWeights(shape: readonly number[], axis: number, k: number, x: Value) {
    const key = `${shape.join()} ${axis}`;
    const known = weights.get(key);
    if (known && random.chance(0.3)) return known;
    const length = shape.reduce((product, size) => product * size, 1);
    const out = shape[axis];
    const unit = () => Math.fround((0.5 + 2 * random.next()) / (74 * Math.sqrt(k) * Math.max(x.size, 1e-3)));
    const kind = random.pick(['tensor', 'channel', 'channel', 'uint8', 'shifted', 'channel shifted']);
    let name: string;
    let scales = [unit()];
    if (kind.startsWith('channel')) scales = Array.from({ length: out }, unit);
    const zeroPoint = scales.map(() => random.int(-20, 20));
    if (kind === 'uint8') {
      const data = Uint8Array.from({ length }, () => random.int(0, 255));
      name = b.dq(shape, data, scales[0], { zeroPoint: [random.int(100, 150)] });
    } else {
      const isShifted = kind.endsWith('shifted');
      name = b.dq(shape, random.int8s(length), kind.startsWith('channel') ? scales : scales[0], {
        axis,
        ...(isShifted && { zeroPoint }),
      });
    }
    const made = { name, scales };
    weights.set(key, made);
    return made;
  }

  function biasOf(out: number, scales: readonly number[], x: Value): readonly string[] {
    const units = scales.map((scale) => Math.fround(Math.fround(x.quantized?.scale ?? 1) * scale));
    const largest = Math.min(2 ** 20, 1 / Math.min(...units));
    const data = Int32Array.from({ length: out }, () => random.int(-largest, largest));
    switch (random.pick(['none', 'integer', 'integer', 'float'])) {
      case 'none':
        return [];
      case 'integer':
        return [b.dq([out], data, scales.length > 1 ? units : units[0])];
      default:
        return [
          b.constant(
            `bias${b.build().constants.size}`,
            [out],
            Float32Array.from(data, (q) => q * units[0]),
          ),
        ];
    }
  }

  function conv(): void {
    const x = source(isImage);
    if (!x) return;
    const [channels, height, width] = sizesOf(x) as [number, number, number];
    const kernel = [Math.min(random.pick([1, 2, 3, 3, 5]), height), Math.min(random.pick([1, 3, 3]), width)];
    const groups = random.chance(0.25) ? channels : channels % 2 === 0 && random.chance(0.1) ? 2 : 1;
    const out = groups * (groups > 1 ? random.int(1, 2) : random.pick([1, 2, 3, 4, 5, 8, 9, 17]));
    const shape = [out, channels / groups, ...kernel];
    const k = (channels / groups) * kernel[0] * kernel[1];
    const { name, scales } = layerWeights(shape, 0, k, x);
    const attributes: Record<string, Attribute> = {
      strides: [random.pick([1, 1, 2]), random.pick([1, 1, 2, 3])],
      group: groups,
      ...(random.chance(0.1)
        ? { auto_pad: random.pick(['SAME_UPPER', 'SAME_LOWER', 'VALID']) }
        : { pads: kernel.concat(kernel).map((size) => random.int(0, size - 1)) }),
    };
    const result = b.node('Conv', [x.name, name, ...biasOf(out, scales, x)], attributes);
    finish(result, 1.5);
  }

  function dense(): void {
    const x = source((value) => shapeOf(value.name).length === 2);
    if (!x) return;
    const [features] = sizesOf(x) as [number];
    const out = random.pick([1, 2, 5, 10]);
    const isTransposed = random.chance(0.5);
    const isGemm = isTransposed || random.chance(0.5);
    const shape = isTransposed ? [out, features] : [features, out];
    const { name, scales } = layerWeights(shape, isTransposed ? 0 : 1, features, x);
    const bias = biasOf(out, scales, x);
    if (isGemm) {
      finish(b.node('Gemm', [x.name, name, ...bias], isTransposed ? { transB: 1 } : {}), 1.5);
      return;
    }
    const product = b.node('MatMul', [x.name, name]);
    finish(
      bias.length > 0 ? b.node('Add', random.chance(0.5) ? [product, bias[0]] : [bias[0], product]) : product,
      1.5,
    );
  }

  function pool(): void {
    const x = source(isImage);
    if (!x) return;
    const [, height, width] = sizesOf(x) as [number, number, number];
    const op = random.pick(['MaxPool', 'MaxPool', 'AveragePool', 'GlobalMaxPool', 'GlobalAveragePool']);
    const kernel = [Math.min(random.int(1, 3), height), Math.min(random.int(1, 3), width)];
    const strides = [random.int(1, 2), random.int(1, 2)];
    // A last window that starts behind the image is one more to ONNX's shape inference, and none to ONNX Runtime's kernels.
    const isCeil = random.chance(0.2) && strides.every((step, i) => step <= kernel[i]);
    const pads = kernel
      .concat(kernel)
      .map((size, side) => (random.chance(0.3) && !(isCeil && side > 1) ? size - 1 : 0));
    const attributes: Record<string, Attribute> = op.startsWith('Global')
      ? {}
      : {
          kernel_shape: kernel,
          strides,
          pads,
          ...(isCeil && { ceil_mode: 1 }),
          ...(op === 'AveragePool' && { count_include_pad: random.int(0, 1) }),
        };
    const result = b.node(op, [x.name], attributes);
    const isExact = op.endsWith('MaxPool');
    if (isExact && random.chance(0.3)) live.push({ name: result, size: x.size, quantized: x.quantized! });
    else finish(result, x.size, isExact ? x.quantized : undefined);
  }

  function unary(): void {
    const x = source();
    if (!x) return;
    let name = x.name;
    do {
      const op = random.pick(UNARY);
      const before = name;
      name = b.node(op, [name]);
      if (random.chance(0.2)) name = b.node('Mul', [before, name]);
      if (random.chance(0.2))
        name = b.node(random.pick(['Add', 'Mul', 'Sub', 'Max', 'Min']), [name, scalar(0.1 + random.next())]);
      if (odd()) live.push({ name, size: x.size });
    } while (random.chance(0.3));
    finish(name, x.size);
  }

  function binary(): void {
    const x = source();
    if (!x) return;
    const shape = shapeOf(x.name);
    const gate = random.chance(0.3) && shape.length === 4;
    const broadcasts = random.chance(0.3);
    const fits = (y: Value) => {
      const other = shapeOf(y.name);
      if (odd())
        return (
          [2, 4].includes(other.length) && other[1] === shape[1] && other.slice(2).every((size) => size === 1)
        );
      if (broadcasts && other.length === shape.length) return canBroadcast(shape, other);
      const wanted = gate ? [shape[0], shape[1], 1, 1] : shape;
      return other.join() === wanted.join();
    };
    const op = gate
      ? 'Mul'
      : random.pick(['Add', 'Add', 'Mul', 'Sub', 'Max', 'Min', odd() ? random.pick(['Sub', 'Div']) : 'Add']);
    const y = source((value) => (value !== x || op === 'Mul') && fits(value));
    // Ranks of 2 and 4 go together only where the batch meets a size of one.
    if (!y || !canBroadcast(shape, shapeOf(y.name))) return;
    finish(
      b.node(op, random.chance(0.5) ? [x.name, y.name] : [y.name, x.name]),
      op === 'Mul' ? x.size * y.size : x.size + y.size,
    );
  }

  function constantOperand(): void {
    const x = source();
    if (!x) return;
    const op = random.pick(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'PRelu']);
    const value = (0.2 + random.next()) * random.pick([1, -1]);
    const constant = op === 'PRelu' ? scalarOf(value) : scalar(value);
    const isReversed = op !== 'PRelu' && op !== 'Div' && random.chance(0.3);
    finish(b.node(op, isReversed ? [constant, x.name] : [x.name, constant]), x.size * 1.2);
  }

  /** A value between 0.5 and 1.5: what others may be divided by, and powers taken of. */
  function positive(x: Value): Value {
    const shifted = b.node('Add', [b.node('Sigmoid', [x.name]), scalar(0.5)]);
    return pair(shifted, 1, {
      scale: Math.fround(1 / 128),
      zeroPoint: random.pick([-128, -100]),
      dtype: 'int8',
    });
  }

  /** A function of two tensors that is a table of their pairs. */
  function pairs(): void {
    const x = source();
    const y = x && source((value) => value !== x && shapeOf(value.name).join() === shapeOf(x.name).join());
    if (!x || !y) return;
    const op = random.pick(['Div', 'Pow', 'PRelu']);
    const name =
      op === 'Div'
        ? b.node(op, [x.name, positive(y).name])
        : op === 'Pow'
          ? b.node(op, [positive(x).name, y.name])
          : b.node(op, [x.name, y.name]);
    finish(name, op === 'Div' ? 2 * x.size : op === 'Pow' ? 1.5 ** y.size : x.size * Math.max(1, y.size));
  }

  /** A constant that varies along several axes, quantized like an activation. */
  function places(): void {
    const x = source((value) => sizesOf(value).length > 1);
    if (!x) return;
    const shape = [1, ...sizesOf(x).map((size) => (random.chance(0.7) ? size : 1))];
    const length = shape.reduce((product, size) => product * size, 1);
    const constant = b.dq(shape, random.int8s(length), Math.fround(x.size / 100), {
      zeroPoint: [random.int(-30, 30)],
    });
    const op = random.pick(['Add', 'Mul', 'Sub', 'Max']);
    finish(
      b.node(op, random.chance(0.5) ? [x.name, constant] : [constant, x.name]),
      op === 'Mul' ? x.size * x.size : 2 * x.size,
    );
  }

  function normalize(): void {
    const x = source((value) => sizesOf(value).length > 0);
    if (!x) return;
    const shape = shapeOf(x.name);
    const [channels = 1] = sizesOf(x);
    const op = random.pick([
      'LayerNormalization',
      'LayerNormalization',
      'LpNormalization',
      ...(shape.length > 2 ? ['InstanceNormalization', 'GroupNormalization'] : []),
    ]);
    if (op === 'LpNormalization') {
      finish(b.node(op, [x.name], { axis: random.int(odd() ? 0 : 1, shape.length - 1) }), 1);
      return;
    }
    const axis = random.int(1, shape.length - 1);
    const learned = op === 'LayerNormalization' ? shape.slice(axis).map(Number) : [channels];
    const parameters = ['scale', 'bias'].map((name) =>
      b.constant(
        `${name}${b.build().constants.size}`,
        learned,
        Float32Array.from(random.int8s(learned.reduce((a, size) => a * size, 1)), (q) => q / 100),
      ),
    );
    const divisors = [1, 2, 3, channels].filter((count) => channels % count === 0);
    const attributes: Record<string, Attribute> =
      op === 'LayerNormalization'
        ? { axis: random.chance(0.5) ? axis : axis - shape.length }
        : op === 'GroupNormalization'
          ? { num_groups: random.pick(divisors) }
          : {};
    finish(b.node(op, [x.name, ...parameters], { ...attributes, epsilon: random.pick([1e-5, 1e-3]) }), 2);
  }

  /** Where the largest or least value lies: an output of its own. */
  function index(): void {
    const x = source((value) => sizesOf(value).length > 0);
    if (!x) return;
    const axis = random.int(odd() ? 0 : 1, shapeOf(x.name).length - 1);
    const attributes = { axis, keepdims: random.int(0, 1), select_last_index: random.int(0, 1) };
    b.output(b.node(random.pick(['ArgMax', 'ArgMin']), [x.name], attributes), [], 'int64');
  }

  function concat(): void {
    const x = source((value) => sizesOf(value).length > 0);
    if (!x) return;
    const shape = shapeOf(x.name);
    const axis = odd() ? random.int(0, shape.length - 1) : random.pick([1, 1, 1 - shape.length]);
    const joined = (axis + shape.length) % shape.length;
    const parts = [x];
    while (random.chance(0.6) && parts.length < 4) {
      const y = source((value) => {
        const other = shapeOf(value.name);
        return other.length === shape.length && other.every((size, i) => i === joined || size === shape[i]);
      });
      if (y) parts.push(y);
    }
    const result = b.node(
      'Concat',
      parts.map(({ name }) => name),
      { axis },
    );
    if (sizesOf({ name: result, size: 0 }).some(Number.isNaN)) return;
    finish(result, Math.max(...parts.map(({ size }) => size)), x.quantized);
  }

  function select(): void {
    const x = source((value) => isImage(value) || sizesOf(value).length === 1);
    if (!x) return;
    const [channels] = sizesOf(x) as [number];
    const axis = odd() ? shapeOf(x.name).length - 1 : 1;
    const size = Number(shapeOf(x.name)[axis]);
    const kind = random.pick(['Gather', 'Slice', 'Split']);
    const keep = (name: string) => {
      if (random.chance(0.5))
        live.push({ name, size: x.size, ...(x.quantized && { quantized: x.quantized }) });
      else finish(name, x.size, x.quantized);
    };
    if (kind === 'Gather') {
      const indices = Array.from({ length: random.int(1, channels + 1) }, () => random.int(-size, size - 1));
      keep(b.node('Gather', [x.name, numbers(...indices)], { axis }));
    } else if (kind === 'Slice') {
      const start = random.int(0, size - 1);
      const step = random.chance(0.2) ? 2 : 1;
      keep(
        b.node('Slice', [
          x.name,
          numbers(start),
          numbers(random.int(start + 1, size)),
          numbers(axis),
          numbers(step),
        ]),
      );
    } else if (size > 1) {
      const first = random.int(1, size - 1);
      for (const part of b.parts('Split', 2, [x.name, numbers(first, size - first)], { axis })) keep(part);
    }
  }

  function rename(): void {
    const x = source();
    if (!x) return;
    const sizes = sizesOf(x);
    const count = sizes.reduce((product, size) => product * size, 1);
    const shapes = [
      [0, -1],
      [0, count],
      [-1, count],
      [0, count, 1, 1],
      [0, ...sizes],
      ...(odd() ? [[0, -1, 2], [count, -1], [-1]] : []),
    ];
    const kind = random.pick([
      'Flatten',
      'Flatten',
      'Reshape',
      'Unsqueeze',
      'Squeeze',
      'Identity',
      'Dropout',
    ]);
    let name: string;
    if (kind === 'Reshape') {
      const target = random.pick(shapes);
      if (target.includes(2) && count % 2 !== 0) return;
      name = b.node(kind, [x.name, numbers(...target)]);
    } else if (kind === 'Unsqueeze') {
      if (sizes.length !== 1) return;
      name = b.node(kind, [x.name, numbers(2, 3)]);
    } else if (kind === 'Squeeze') {
      if (sizes.length !== 3 || sizes[1] !== 1 || sizes[2] !== 1) return;
      name = b.node(kind, [x.name, numbers(2, 3)]);
    } else {
      name = b.node(kind, [x.name]);
    }
    if (random.chance(0.6)) live.push({ name, size: x.size, ...(x.quantized && { quantized: x.quantized }) });
    else finish(name, x.size, x.quantized);
  }

  /** A float function whose readers want it in different ways. */
  function disagreement(): void {
    const x = source((value) => sizesOf(value).length > 0);
    if (!x) return;
    let name = b.node(random.pick(UNARY), [x.name]);
    if (random.chance(0.2)) name = b.node('Identity', [name]);
    const scale = () => newQuantization(x.size * random.pick([0.1, 1]));
    const readers: readonly (() => void)[] = [
      () => live.push(pair(name, x.size, scale())),
      () => live.push(pair(b.node('Clip', [name, scalarOf(-0.1), scalarOf(0.1)]), 0.1, scale())),
      () => {
        if (shapeOf(name).length !== 4) return;
        const pooled = b.node('GlobalMaxPool', [name]);
        live.push(pair(pooled, x.size, scale()));
        if (random.chance(0.3)) live.push({ name: pooled, size: x.size });
      },
      () => {
        const flat = b.node('Flatten', [name]);
        live.push(pair(flat, x.size, scale()));
        if (random.chance(0.2)) live.push({ name: flat, size: x.size });
      },
      () => {
        if (random.chance(0.5))
          finish(
            random.chance(0.5)
              ? b.node('Add', [name, x.name])
              : b.node('Concat', [name, x.name], { axis: 1 }),
            x.size,
          );
      },
    ];
    for (let count = random.int(2, 3); count > 0; count--) {
      random.pick(readers)();
      strange.push(live.at(-1));
    }
  }

  /** An element-wise operator of a value and the same value in another shape. */
  function mixedRanks(): void {
    const x = source((value) => {
      const sizes = sizesOf(value);
      return [1, 3].includes(sizes.length) && sizes.slice(1).every((size) => size === 1);
    });
    if (!x) return;
    const other = b.node(random.pick(['Identity', 'Neg', 'Tanh']), [x.name]);
    const renamed = isImage(x) ? b.node('Flatten', [other]) : b.node('Unsqueeze', [other, numbers(2, 3)]);
    const operands = random.chance(0.5) ? [x.name, renamed] : [renamed, x.name];
    finish(b.node(random.pick(['Add', 'Sub', 'Mul', 'Max']), operands), x.size);
    strange.push(live.at(-1));
  }

  /** Another order of the sizes of an image: readers see other rows and channels. */
  function reorder(): void {
    const x = source(isImage);
    if (!x) return;
    const target = random.pick([
      [0, ...sizesOf(x).reverse()],
      [0, 1, -1, 1],
      [sizesOf(x)[0], -1, ...sizesOf(x).slice(1)],
    ]);
    live.push({ ...x, name: b.node('Reshape', [x.name, numbers(...target)]) });
  }

  /** Of two activations, as in attention: often a value and its transpose. */
  function product(): void {
    const x = source((value) => shapeOf(value.name).length > 2);
    if (!x) return;
    const shape = shapeOf(x.name);
    const sizes = shape.slice(0, -2).join();
    const inner = Number(shape.at(-1));
    const y = source((value) => {
      const other = shapeOf(value.name);
      return other.length === shape.length && other.slice(0, -2).join() === sizes && other.at(-2) === inner;
    });
    const perm = shape.map((_, axis) => axis);
    perm.push(...perm.splice(-2).reverse());
    const isOwn = !y || random.chance(0.3);
    const right = isOwn ? b.node('Transpose', [x.name], { perm }) : y.name;
    const operands = isOwn && random.chance(0.5) ? [right, x.name] : [x.name, right];
    finish(b.node('MatMul', operands), x.size * (y ?? x).size * Math.sqrt(inner));
  }

  function softmax(): void {
    const x = source((value) => sizesOf(value).length > 0);
    if (!x) return;
    const last = shapeOf(x.name).length - 1;
    const axis = random.pick([-1, 1, random.int(1, last)]);
    if (random.chance(0.4)) {
      finish(b.node('LogSoftmax', [x.name], { axis }), 4);
      return;
    }
    const result = b.node('Softmax', [x.name], { axis });
    live.push(
      random.chance(0.5)
        ? pair(result, 1, { scale: Math.fround(1 / 256), zeroPoint: -128, dtype: 'int8' })
        : pair(result, 1, newQuantization(1, true)),
    );
  }

  function reduce(): void {
    const x = source((value) => sizesOf(value).length > 0);
    if (!x) return;
    const shape = shapeOf(x.name);
    const op = random.pick(REDUCTIONS);
    const all = shape.map((_, axis) => axis).slice(odd() ? 0 : 1);
    const axes = all.filter(() => random.chance(0.5));
    if (axes.length === 0) axes.push(random.pick(all));
    const count = axes.reduce((product, axis) => product * (axis === 0 ? batch : Number(shape[axis])), 1);
    const keepdims = random.int(0, 1);
    if (keepdims === 0 && axes.length === shape.length) return;
    const names = numbers(...axes.map((axis) => (random.chance(0.3) ? axis - shape.length : axis)));
    const isSum = ['ReduceSum', 'ReduceL1', 'ReduceSumSquare', 'ReduceL2'].includes(op);
    finish(b.node(op, [x.name, names], { keepdims }), x.size * (isSum ? Math.sqrt(count) : 1));
  }

  /** What puts values elsewhere and computes none. */
  function move(): void {
    const x = source((value) => shapeOf(value.name).length > 2);
    if (!x) return;
    const shape = shapeOf(x.name);
    const sizes = sizesOf(x);
    const made = (op: string, inputs: readonly string[] = [], attributes: Record<string, Attribute> = {}) =>
      b.node(op, [x.name, ...inputs], attributes);
    const moves: (() => string | undefined)[] = [
      () => {
        const keys = sizes.map((_, axis) => ({ axis: axis + 1, key: random.next() }));
        return made('Transpose', [], {
          perm: [0, ...keys.sort((a, b) => a.key - b.key).map(({ axis }) => axis)],
        });
      },
      () => {
        const before = shape.map((_, axis) => (axis > 1 ? random.int(0, 1) : 0));
        const after = shape.map((_, axis) => (axis > 1 ? random.int(0, 1) : 0));
        const mode = random.pick(['constant', 'edge', 'reflect']);
        if (mode === 'reflect' && sizes.some((size) => size < 2)) return undefined;
        return made('Pad', [numbers(...before, ...after)], { mode });
      },
      () => made('Tile', [numbers(1, ...sizes.map(() => random.int(1, 2)))]),
    ];
    if (shape.length === 4) {
      const [channels, height, width] = sizes as [number, number, number];
      moves.push(
        () => (channels % 4 === 0 ? made('DepthToSpace', [], { blocksize: 2 }) : undefined),
        () => (height % 2 === 0 && width % 2 === 0 ? made('SpaceToDepth', [], { blocksize: 2 }) : undefined),
        () => {
          const factors = Float32Array.of(1, 1, random.int(1, 2), random.int(1, 3));
          const scales = b.constant(`r${b.build().constants.size}`, [4], factors);
          return made('Resize', ['', scales], {
            mode: 'nearest',
            coordinate_transformation_mode: 'asymmetric',
            nearest_mode: 'floor',
          });
        },
      );
    }
    const name = random.pick(moves)();
    if (name === undefined) return;
    if (random.chance(0.5)) live.push({ ...x, name });
    else finish(name, x.size, x.quantized);
  }

  function enlarge(): void {
    const x = source(isImage);
    if (!x) return;
    const factors = Float32Array.of(1, 1, random.pick([0.5, 1, 1.5, 2, 3]), random.pick([0.5, 1, 2]));
    const scales = b.constant(`r${b.build().constants.size}`, [4], factors);
    const attributes = {
      mode: random.pick(['linear', 'linear', 'cubic']),
      coordinate_transformation_mode: random.pick(['half_pixel', 'asymmetric', 'align_corners']),
    };
    const name = b.node('Resize', [x.name, '', scales], attributes);
    if (sizesOf({ name, size: 0 }).every((size) => size > 0)) finish(name, x.size, x.quantized);
  }

  function convTranspose(): void {
    const x = source(isImage);
    if (!x) return;
    const [channels] = sizesOf(x) as [number];
    const groups = channels % 2 === 0 && random.chance(0.2) ? 2 : 1;
    const kernel = [random.int(1, 3), random.int(1, 3)];
    const out = random.int(1, 5);
    const k = (channels / groups) * kernel[0] * kernel[1];
    const weights = layerWeights([channels, out, ...kernel], groups === 1 ? 1 : 0, k, x);
    // One scale per output channel lies on axis 1; a group has that many times as many.
    if (groups > 1 && weights.scales.length > 1) return;
    const strides = [random.int(1, 2), random.int(1, 3)];
    const pads = kernel.concat(kernel).map((size) => random.int(0, size - 1));
    const isEmpty = (side: number) =>
      (sizesOf(x)[side + 1] - 1) * strides[side] + kernel[side] <= pads[side] + pads[side + 2];
    if (isEmpty(0) || isEmpty(1)) return;
    const result = b.node(
      'ConvTranspose',
      [x.name, weights.name, ...biasOf(out * groups, weights.scales, x)],
      {
        group: groups,
        strides,
        pads,
        output_padding: strides.map((stride) => random.int(0, stride - 1)),
      },
    );
    finish(result, 1.5);
  }

  function requantize(): void {
    const x = source();
    if (x) live.push(pair(x.name, x.size, newQuantization(x.size)));
  }

  const dimension = random.chance(0.8) ? 'N' : batch;
  const shapes = Array.from({ length: random.chance(0.2) ? 2 : 1 }, () =>
    random.chance(0.85)
      ? [dimension, random.pick([1, 2, 3, 4, 6]), random.int(3, 9), random.int(3, 9)]
      : [dimension, random.int(1, 9)],
  );
  const inputs = shapes.map((shape, i) => {
    finish(b.input(`x${i}`, random.chance(0.6) ? shapes[0] : shape), 1.2);
    return live.at(-1);
  });
  for (let layer = random.int(2, 9); layer > 0; layer--) {
    random.pick([
      conv,
      conv,
      conv,
      dense,
      dense,
      pool,
      unary,
      binary,
      binary,
      constantOperand,
      concat,
      select,
      rename,
      requantize,
      product,
      softmax,
      pairs,
      places,
      normalize,
      index,
      reduce,
      move,
      enlarge,
      convTranspose,
      ...(oddity > 0 ? [disagreement, mixedRanks, reorder] : []),
    ])();
  }

  const ends = new Set<string>();
  /** Ends of the graph: what nothing reads, or some of it. */
  function end(value: Value): void {
    let { name } = value;
    const rank = shapeOf(name).length;
    const isQuantized = random.chance(0.2);
    if (rank > 1 && random.chance(0.25)) {
      name = b.node('Softmax', [name], { axis: odd() ? random.int(0, rank - 1) : random.pick([1, -1]) });
    }
    if (random.chance(0.15)) name = b.node('Flatten', [name]);
    else if (odd())
      name = b.node('Reshape', [name, numbers(...random.pick([[-1], [0, -1, 1], [1, -1], [0, 1, -1]]))]);
    if (random.chance(0.1)) name = pair(name, value.size, newQuantization(value.size)).name;
    if (isQuantized) {
      const { scale, zeroPoint, dtype } = newQuantization(value.size);
      name = b.node('QuantizeLinear', [
        name,
        scalarOf(scale),
        b.constant(
          `z${b.build().constants.size}`,
          [],
          dtype === 'int8' ? Int8Array.of(zeroPoint) : Uint8Array.of(zeroPoint),
        ),
      ]);
    }
    if (ends.has(name)) name = b.node('Identity', [name]);
    ends.add(name);
    b.output(name, []);
  }
  end(live.at(-1));
  for (const value of strange) end(value);
  // Inputs that nothing depends on are refused.
  if (inputs.length > 1) for (const input of inputs) end(input);
  while (random.chance(0.3)) end(random.pick(live));
  // A layer that is not requantized.
  const last = source((value) => shapeOf(value.name).length === 2);
  if (last && random.chance(0.4)) {
    const [features] = sizesOf(last) as [number];
    const { name, scales } = layerWeights([features, 4], 1, features, last);
    end({ name: b.node('Gemm', [last.name, name, ...biasOf(4, scales, last)]), size: 1 });
  }
  return b.build();
}
