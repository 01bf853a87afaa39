/** Random float graphs of what exporters write, and some of what none does, to be quantized. Seeded. */
import type { Graph } from '../../src/graph/graph.ts';
import { createFloatGraph, type FloatGraphBuilder } from './onnx-models.ts';

/** Input [N, C, H, W]. */
export function randomOddFloatGraph(seed: number): Graph {
  const b = createFloatGraph(seed);
  const { random } = b;
  const live = [b.input('input', ['N', random.int(1, 6), random.int(4, 10), random.int(4, 10)])];
  let names = 0;
  const numbers = (...values: readonly number[]) =>
    b.constant(`n${names++}`, [values.length], BigInt64Array.from(values, BigInt));
  const isImage = (x: string) => b.shape(x).length === 4;
  const images = () => live.filter(isImage).slice(-4);
  const alike = (x: string) => live.filter((y) => b.shape(y).join() === b.shape(x).join());
  const sizesOf = (x: string) => b.shape(x).slice(1).map(Number);

  const layers: readonly (() => string | undefined)[] = [
    () => conv(b, random.pick(images())),
    () => conv(b, random.pick(images())),
    () => {
      const x = random.pick(images());
      const [, height, width] = sizesOf(x);
      if (height < 3 || width < 3) return undefined;
      return random.chance(0.5)
        ? b.maxPool(x, { kernel: 2, stride: random.int(1, 2) })
        : b.averagePool(x, {
            kernel: 3,
            stride: 1,
            pads: 1,
            attributes: { count_include_pad: random.int(0, 1) },
          });
    },
    () => b.node(random.pick(['GlobalAveragePool', 'GlobalMaxPool']), [random.pick(images())]),
    () => b.node('ReduceMean', [random.pick(images())], { axes: [2, 3], keepdims: random.int(0, 1) }),
    () => b.batchNorm(random.pick(images())),
    () =>
      b.node(random.pick(['Relu', 'Sigmoid', 'Tanh', 'HardSwish', 'Neg', 'LeakyRelu', 'Identity', 'Abs']), [
        random.pick(live),
      ]),
    () => b.clip(random.pick(live), random.pick([0, -0.5]), 0.5 + random.next()),
    () => {
      const x = random.pick(live);
      return b.node(random.pick(['Add', 'Mul', 'Add', 'Sub', 'Max']), [x, random.pick(alike(x))]);
    },
    () => {
      const x = random.pick(images());
      const isPixel = (y: string) =>
        sizesOf(y)
          .slice(1)
          .every((size) => size === 1);
      const gates = live.filter((y) => b.shape(y)[1] === b.shape(x)[1] && isPixel(y));
      // A vector lies along the width, or makes an image of two single pixels.
      const y = random.pick(gates.filter((y) => isImage(y) || (isPixel(x) && random.chance(0.2))));
      return y && b.node('Mul', [x, y]);
    },
    () => perChannel(b, random.pick(images())),
    () => {
      const x = random.pick(live);
      // Away from 0.
      return b.node('Div', [x, b.node('Sigmoid', [random.pick(alike(x))])]);
    },
    () => {
      const x = random.pick(images());
      const shape = sizesOf(x).slice(-random.int(2, 3));
      if (!shape.every(Number.isInteger)) return undefined;
      const places = b.normal(`places${names++}`, shape, 1, 1.5);
      return b.node(
        random.pick(['Add', 'Mul', 'Sub', 'Max']),
        random.chance(0.7) ? [x, places] : [places, x],
      );
    },
    () => {
      const value = b.constant(
        `c${names++}`,
        random.pick([[], [1], [1, 1], [1, 1, 1, 1, 1]].slice(0, random.chance(0.1) ? 4 : 2)),
        Float32Array.of(random.next() + 0.1),
      );
      const operands = [random.pick(live), value];
      return b.node(
        random.pick(['Add', 'Sub', 'Mul', 'Div', 'Max']),
        random.chance(0.8) ? operands : operands.reverse(),
      );
    },
    () => {
      const x = random.pick(images());
      const fits = live.filter(
        (y) => isImage(y) && [0, 2, 3].every((axis) => b.shape(y)[axis] === b.shape(x)[axis]),
      );
      return b.node('Concat', [x, ...fits.slice(-random.int(1, 3))], { axis: 1 });
    },
    () => {
      const x = random.pick(images());
      const [channels] = sizesOf(x);
      if (channels % 2 !== 0) return undefined;
      if (random.chance(0.4) && sizesOf(x).every(Number.isInteger)) return b.channelShuffle(x, 2);
      live.push(...b.split(x, 2));
      return undefined;
    },
    () => {
      const x = random.pick(images());
      return b.node('Pad', [x, numbers(0, 0, random.int(0, 1), 1, 0, 0, 1, random.int(0, 1))]);
    },
    () => attention(b, random.pick(live)),
    () => {
      const x = random.pick(live);
      const last = b.shape(x).length - 1;
      if (last < 1) return undefined;
      const axis = random.int(1, last);
      const keepdims = random.int(0, 1);
      // In opset 13 ReduceSum alone has its axes as an input.
      if (random.chance(0.3)) return b.node('ReduceSum', [x, numbers(axis)], { keepdims });
      return b.node(random.pick(['ReduceMean', 'ReduceMax', 'ReduceL2']), [x], { axes: [axis], keepdims });
    },
    () => {
      const x = random.pick(live);
      const last = b.shape(x).length - 1;
      return last < 1 ? undefined : b.node('Softmax', [x], { axis: random.int(1, last) });
    },
    () => {
      const factors = Float32Array.of(1, 1, random.int(1, 2), random.int(1, 2));
      const scales = b.constant(`r${names++}`, [4], factors);
      const mode = random.pick(['nearest', 'linear']);
      return b.node('Resize', [random.pick(images()), '', scales], { mode });
    },
    () => {
      const x = random.pick(images());
      const [channels, height, width] = sizesOf(x) as [number, number, number];
      if (channels % 4 === 0) return b.node('DepthToSpace', [x], { blocksize: 2 });
      if (height % 2 === 0 && width % 2 === 0) return b.node('SpaceToDepth', [x], { blocksize: 2 });
      return b.node('Transpose', [x], { perm: [0, 2, 3, 1] });
    },
    () => {
      const x = random.pick(images());
      const [channels] = sizesOf(x) as [number];
      const weights = b.normal(`up${names++}`, [channels, random.int(1, 5), 2, 2], 0.5, 0);
      return b.node('ConvTranspose', [x, weights], { strides: [2, random.int(1, 2)] });
    },
    () => b.node('Flatten', [random.pick(live)]),
    () => {
      const x = random.pick(live);
      const sizes = random.pick([[-1], sizesOf(x)]);
      if (!sizes.every(Number.isInteger)) return undefined;
      const batch = b.node('Gather', [b.node('Shape', [x]), numbers(0)], { axis: 0 });
      return b.node('Reshape', [x, b.node('Concat', [batch, numbers(...sizes)], { axis: 0 })]);
    },
    () => dense(b, random.pick(live)),
    () => dense(b, random.pick(live)),
  ];

  for (let layer = random.int(2, 8); layer > 0; layer--) {
    const made = random.pick(layers)();
    if (made !== undefined) live.push(made);
  }
  const outputs = new Set([tail(b, dense(b, live.at(-1)) ?? live.at(-1))]);
  while (random.chance(0.3)) outputs.add(tail(b, random.pick(live)));
  outputs.delete('input');
  return b.finish(...(outputs.size > 0 ? outputs : [b.node('Neg', ['input'])]));
}

function conv(b: FloatGraphBuilder, x: string): string {
  const { random } = b;
  const [channels, height, width] = b.shape(x).slice(1).map(Number) as [number, number, number];
  const kernel = Math.min(random.pick([1, 3, 3]), height, width);
  const group = random.chance(0.3) ? channels : 1;
  const y = b.conv(x, group * random.int(1, group > 1 ? 2 : 9), {
    kernel,
    group,
    stride: random.int(1, 2),
    bias: random.chance(0.5),
  });
  return random.chance(0.4) ? b.batchNorm(y) : y;
}

function dense(b: FloatGraphBuilder, x: string): string | undefined {
  const { random } = b;
  if (b.shape(x).length === 4 && random.chance(0.5)) x = b.node('Flatten', [x]);
  if (b.shape(x).length !== 2 || !Number.isInteger(b.shape(x)[1])) return undefined;
  const outputs = random.int(1, 9);
  return random.chance(0.5) ? b.gemm(x, outputs) : b.matMulAdd(x, outputs);
}

/** Shares of the rows of `x` among each other, and the rows weighted by them. */
function attention(b: FloatGraphBuilder, x: string): string | undefined {
  const rank = b.shape(x).length;
  if (rank < 3) return undefined;
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  perm.push(...perm.splice(-2).reverse());
  const products = b.node('MatMul', [x, b.node('Transpose', [x], { perm })]);
  return b.node('MatMul', [b.node('Softmax', [products], { axis: -1 }), x]);
}

/** Arithmetic with a constant a channel, of three or four dimensions. */
function perChannel(b: FloatGraphBuilder, x: string): string {
  const { random } = b;
  const channels = Number(b.shape(x)[1]);
  const rank = random.pick([3, 3, 4]);
  const shape = [1, channels, 1, 1].slice(4 - rank);
  const constant = b.normal(`${x}.channels`, shape, 0.3, 1);
  return b.node(random.pick(['Add', 'Mul', 'Sub', 'Div']), [x, constant]);
}

function tail(b: FloatGraphBuilder, x: string): string {
  const { random } = b;
  let name = x;
  if (random.chance(0.3)) name = b.node('Softmax', [name], { axis: random.pick([1, -1]) });
  if (random.chance(0.2)) name = b.node('Flatten', [name]);
  return name;
}
