/** Small float ONNX graphs with seeded random weights, and a builder to make others. */
import type { Attribute, Dimension, Graph, Node, Tensor, TensorData } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { createRandom, type Random } from './random.ts';

export interface ConvOptions {
  readonly kernel?: number | readonly [number, number];
  readonly stride?: number | readonly [number, number];
  /** One for all sides, or [top, left, bottom, right]; default keeps the size of odd kernels at stride 1. */
  readonly pads?: number | readonly number[];
  readonly dilation?: number;
  readonly group?: number;
  readonly bias?: boolean;
}

export interface PoolOptions {
  readonly kernel?: number;
  readonly stride?: number;
  readonly pads?: number;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

/** Methods take and return names of values. */
export interface FloatGraphBuilder {
  readonly random: Random;
  input(name: string, shape: readonly Dimension[]): string;
  constant(name: string, shape: readonly number[], data: TensorData): string;
  /** Normal weights of the given standard deviation. */
  normal(name: string, shape: readonly number[], deviation?: number, mean?: number): string;
  /** Any node with one output, which bears the node's name. */
  node(op: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>): string;
  conv(x: string, outChannels: number, options?: ConvOptions): string;
  batchNorm(x: string): string;
  relu(x: string): string;
  clip(x: string, min: number, max: number): string;
  maxPool(x: string, options?: PoolOptions): string;
  averagePool(x: string, options?: PoolOptions): string;
  /** Global average pool and Flatten. */
  globalPool(x: string): string;
  gemm(x: string, outputs: number): string;
  /** The same layer as MatMul and Add. */
  matMulAdd(x: string, outputs: number): string;
  /** Parts of equal channels. */
  split(x: string, parts: number): readonly string[];
  /** Reshape, Transpose and Reshape, as exporters write it. */
  channelShuffle(x: string, groups: number): string;
  shape(value: string): readonly Dimension[];
  /** The graph with the given outputs, shapes inferred. */
  finish(...outputs: readonly string[]): Graph;
}

export function createFloatGraph(seed: number, opset = 17): FloatGraphBuilder {
  const random = createRandom(seed);
  const constants = new Map<string, Tensor>();
  const nodes: Node[] = [];
  const inputs: Graph['inputs'][number][] = [];
  const graph = (outputs: readonly string[] = []): Graph => ({
    name: `random ${seed}`,
    opset,
    inputs,
    outputs: outputs.map((name) => ({ name, dtype: 'float32', shape: [] })),
    nodes,
    constants,
    values: new Map(),
    metadata: new Map(),
  });
  /** Box and Muller 1958. */
  const gaussian = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());

  const builder: FloatGraphBuilder = {
    random,
    input(name, shape) {
      inputs.push({ name, dtype: 'float32', shape });
      return name;
    },
    constant(name, shape, data) {
      const dtype = data instanceof BigInt64Array ? 'int64' : 'float32';
      constants.set(name, { name, dtype, shape, data });
      return name;
    },
    normal(name, shape, deviation = 1, mean = 0) {
      const length = shape.reduce((product, dim) => product * dim, 1);
      return builder.constant(
        name,
        shape,
        Float32Array.from({ length }, () => gaussian() * deviation + mean),
      );
    },
    node(op, nodeInputs, attributes = {}) {
      const name = `${op.toLowerCase()}_${nodes.length}`;
      nodes.push({ name, op, inputs: nodeInputs, outputs: [name], attributes });
      return name;
    },
    conv(x, outChannels, { kernel = 3, stride = 1, pads, dilation = 1, group = 1, bias = true } = {}) {
      const id = `conv_${nodes.length}`;
      const size = [kernel, kernel].flat().slice(0, 2);
      const [kh, kw] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
      const inChannels = Number(builder.shape(x)[1]) / group;
      const keep = [kh, kw, kh, kw].map((extent) => ((extent - 1) * dilation) >> 1);
      const deviation = Math.sqrt(2 / (inChannels * kh * kw));
      const weights = builder.normal(`${id}.weight`, [outChannels, inChannels, kh, kw], deviation);
      return builder.node(
        'Conv',
        bias ? [x, weights, builder.normal(`${id}.bias`, [outChannels], 0.2)] : [x, weights],
        {
          kernel_shape: size,
          strides: typeof stride === 'number' ? [stride, stride] : stride,
          pads: typeof pads === 'number' ? [pads, pads, pads, pads] : (pads ?? keep),
          dilations: [dilation, dilation],
          group,
        },
      );
    },
    batchNorm(x) {
      const id = `batchnormalization_${nodes.length}`;
      const channels = Number(builder.shape(x)[1]);
      const variance = Float32Array.from({ length: channels }, () => 0.3 + random.next() * 2);
      return builder.node(
        'BatchNormalization',
        [
          x,
          builder.normal(`${id}.weight`, [channels], 0.3, 1),
          builder.normal(`${id}.bias`, [channels], 0.3),
          builder.normal(`${id}.running_mean`, [channels], 0.3),
          builder.constant(`${id}.running_var`, [channels], variance),
        ],
        // Larger than usual, so that a pass that forgets it is seen.
        { epsilon: 1e-2 },
      );
    },
    relu: (x) => builder.node('Relu', [x]),
    clip(x, min, max) {
      const id = `clip_${nodes.length}`;
      return builder.node('Clip', [
        x,
        builder.constant(`${id}.min`, [], Float32Array.of(min)),
        builder.constant(`${id}.max`, [], Float32Array.of(max)),
      ]);
    },
    maxPool: (x, options) => builder.node('MaxPool', [x], poolAttributes(options)),
    averagePool: (x, options) => builder.node('AveragePool', [x], poolAttributes(options)),
    globalPool: (x) => builder.node('Flatten', [builder.node('GlobalAveragePool', [x])], { axis: 1 }),
    gemm(x, outputs) {
      const id = `gemm_${nodes.length}`;
      const features = Number(builder.shape(x)[1]);
      const weights = builder.normal(`${id}.weight`, [outputs, features], Math.sqrt(2 / features));
      return builder.node('Gemm', [x, weights, builder.normal(`${id}.bias`, [outputs], 0.2)], { transB: 1 });
    },
    matMulAdd(x, outputs) {
      const id = `matmul_${nodes.length}`;
      const features = Number(builder.shape(x)[1]);
      const weights = builder.normal(`${id}.weight`, [features, outputs], Math.sqrt(2 / features));
      const product = builder.node('MatMul', [x, weights]);
      return builder.node('Add', [product, builder.normal(`${id}.bias`, [outputs], 0.2)]);
    },
    split(x, parts) {
      const id = `split_${nodes.length}`;
      const sizes = new BigInt64Array(parts).fill(BigInt(Number(builder.shape(x)[1]) / parts));
      const outputs = Array.from({ length: parts }, (_, i) => `${id}.${i}`);
      const inputs = [x, builder.constant(`${id}.sizes`, [parts], sizes)];
      nodes.push({ name: id, op: 'Split', inputs, outputs, attributes: { axis: 1 } });
      return outputs;
    },
    channelShuffle(x, groups) {
      const id = `shuffle_${nodes.length}`;
      const [, channels, height, width] = builder.shape(x).map(Number);
      const reshape = (from: string, shape: readonly number[]) =>
        builder.node('Reshape', [
          from,
          builder.constant(`${id}.${shape.length}`, [shape.length], BigInt64Array.from(shape, BigInt)),
        ]);
      const grouped = reshape(x, [0, groups, channels / groups, height, width]);
      const swapped = builder.node('Transpose', [grouped], { perm: [0, 2, 1, 3, 4] });
      return reshape(swapped, [0, channels, height, width]);
    },
    shape(value) {
      const info = inputs.find(({ name }) => name === value) ?? inferShapes(graph()).values.get(value);
      if (!info) throw new Error(`no shape for ${value}`);
      return info.shape;
    },
    finish: (...outputs) => inferShapes(graph(outputs)),
  };
  return builder;
}

function poolAttributes({ kernel = 2, stride = kernel, pads = 0, attributes = {} }: PoolOptions = {}) {
  return {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [pads, pads, pads, pads],
    ...attributes,
  };
}

/** Convolution, batch norm, ReLU and max pool twice, global average pool, two dense layers. Input [N, 3, 12, 12], output `logits`. */
export function convNet(seed: number): Graph {
  const b = createFloatGraph(seed);
  let x = b.input('input', ['N', 3, 12, 12]);
  for (const [channels, bias] of [
    [8, true],
    [13, false],
  ] as const) {
    x = b.maxPool(b.relu(b.batchNorm(b.conv(x, channels, { bias }))));
  }
  x = b.relu(b.gemm(b.globalPool(x), 16));
  return renameOutput(b.finish(b.matMulAdd(x, 10)), 'logits');
}

/** Two residual blocks, one with stride and a 1×1 shortcut. Input [N, 3, 10, 10]. */
export function residualNet(seed: number): Graph {
  const b = createFloatGraph(seed);
  let x = b.relu(b.batchNorm(b.conv(b.input('input', ['N', 3, 10, 10]), 8, { bias: false })));
  for (const [channels, stride] of [
    [8, 1],
    [12, 2],
  ] as const) {
    const inner = b.relu(b.batchNorm(b.conv(x, channels, { stride, bias: false })));
    const main = b.batchNorm(b.conv(inner, channels, { bias: false }));
    const same = stride === 1;
    const shortcut = same ? x : b.batchNorm(b.conv(x, channels, { kernel: 1, stride, pads: 0, bias: false }));
    x = b.relu(b.node('Add', [main, shortcut]));
  }
  return renameOutput(b.finish(b.gemm(b.globalPool(x), 10)), 'logits');
}

/** Pre-activation residual block (He et al. 2016): batch norms that no convolution precedes. Input [N, 3, 8, 8]. */
export function preActNet(seed: number): Graph {
  const b = createFloatGraph(seed);
  let x = b.conv(b.input('input', ['N', 3, 8, 8]), 8, { bias: false });
  for (let block = 0; block < 2; block++) {
    const first = b.conv(b.relu(b.batchNorm(x)), 8, { bias: false });
    const second = b.conv(b.relu(b.batchNorm(first)), 8, { bias: false });
    x = b.node('Add', [x, second]);
  }
  return renameOutput(b.finish(b.gemm(b.globalPool(b.relu(b.batchNorm(x))), 10)), 'logits');
}

/** Inverted residuals with depthwise convolutions and ReLU6 (MobileNetV2). Input [N, 3, 12, 12]. */
export function mobileNet(seed: number): Graph {
  const b = createFloatGraph(seed);
  const relu6 = (x: string) => b.clip(x, 0, 6);
  let x = relu6(b.batchNorm(b.conv(b.input('input', ['N', 3, 12, 12]), 8, { stride: 2, bias: false })));
  for (const stride of [1, 2]) {
    const channels = 24;
    const wide = relu6(b.batchNorm(b.conv(x, channels, { kernel: 1, bias: false })));
    const deep = relu6(b.batchNorm(b.conv(wide, channels, { stride, group: channels, bias: false })));
    const narrow = b.batchNorm(b.conv(deep, 8, { kernel: 1, bias: false }));
    x = stride === 1 ? b.node('Add', [x, narrow]) : narrow;
  }
  return renameOutput(b.finish(b.gemm(b.globalPool(x), 10)), 'logits');
}

/** Squeeze and excitation behind HardSwish, a residual around it, and a gate of the same shape (MobileNetV3). Input [N, 3, 9, 9]. */
export function gatedNet(seed: number): Graph {
  const b = createFloatGraph(seed);
  const x = b.node('HardSwish', [b.batchNorm(b.conv(b.input('input', ['N', 3, 9, 9]), 10, { bias: false }))]);
  const squeezed = b.relu(b.conv(b.node('GlobalAveragePool', [x]), 4, { kernel: 1 }));
  const excitation = b.node('HardSigmoid', [b.conv(squeezed, 10, { kernel: 1 })]);
  const excited = b.node('Add', [x, b.conv(b.node('Mul', [excitation, x]), 10, { kernel: 1 })]);
  const gate = b.node('Sigmoid', [b.conv(excited, 10)]);
  const gated = b.relu(b.node('Mul', [b.conv(excited, 10), gate]));
  return renameOutput(b.finish(b.gemm(b.globalPool(gated), 10)), 'logits');
}

/** Branches joined along channels, an average pool, SiLU and Softmax. Input [N, 4, 9, 9]. */
export function concatNet(seed: number): Graph {
  const b = createFloatGraph(seed);
  const x = b.relu(b.conv(b.input('input', ['N', 4, 9, 9]), 6));
  const wide = b.relu(b.conv(x, 5, { kernel: 5 }));
  const pooled = b.averagePool(x, { kernel: 3, stride: 1, pads: 1 });
  const linear = b.conv(x, 7, { kernel: 1 });
  const silu = b.node('Mul', [linear, b.node('Sigmoid', [linear])]);
  const joined = b.node('Concat', [wide, pooled, silu], { axis: 1 });
  const logits = b.gemm(b.globalPool(b.maxPool(joined)), 10);
  return renameOutput(b.finish(b.node('Softmax', [logits], { axis: 1 })), 'probabilities');
}

/** Channels split in two, one half through a branch, joined and shuffled, as exporters write it (ShuffleNetV2). Input [N, 3, 10, 10]. */
export function shuffleNet(seed: number): Graph {
  const b = createFloatGraph(seed);
  let x = b.relu(b.batchNorm(b.conv(b.input('input', ['N', 3, 10, 10]), 12, { bias: false })));
  for (let block = 0; block < 2; block++) {
    const [kept, branch] = b.split(x, 2);
    const wide = b.relu(b.batchNorm(b.conv(branch, 6, { kernel: 1, bias: false })));
    const deep = b.batchNorm(b.conv(wide, 6, { group: 6, bias: false }));
    const narrow = b.relu(b.batchNorm(b.conv(deep, 6, { kernel: 1, bias: false })));
    x = b.channelShuffle(b.node('Concat', [kept, narrow], { axis: 1 }), 2);
  }
  return renameOutput(b.finish(b.gemm(b.globalPool(x), 10)), 'logits');
}

/** The networks above, by name. */
export const floatNets: Readonly<Record<string, (seed: number) => Graph>> = {
  convNet,
  residualNet,
  preActNet,
  mobileNet,
  concatNet,
  gatedNet,
  shuffleNet: (seed) => decodeModel(encodeModel(shuffleNet(seed))),
  attentionNet: (seed) => decodeModel(encodeModel(attentionNet(seed))),
};

/** A graph of about `layers` operators of all kinds, in random order. Input [N, C, H, W], output `output`. */
export function randomFloatGraph(seed: number, layers = 8): Graph {
  const b = createFloatGraph(seed);
  const { random } = b;
  const live = [b.input('input', ['N', random.int(1, 6), random.int(6, 12), random.int(6, 12)])];
  for (let layer = 0; layer < layers; layer++) {
    const x = random.pick(live.slice(-3));
    live.push(randomLayer(b, x, live));
  }
  let x = b.globalPool(live.at(-1));
  if (random.chance(0.5)) x = b.relu(random.chance(0.5) ? b.gemm(x, 9) : b.matMulAdd(x, 9));
  return renameOutput(b.finish(random.chance(0.5) ? b.gemm(x, 5) : b.matMulAdd(x, 5)), 'output');
}

function randomLayer(b: FloatGraphBuilder, x: string, live: readonly string[]): string {
  const { random } = b;
  const [, c, h, w] = b.shape(x).map(Number) as [number, number, number, number];
  const size = Math.min(random.pick([1, 3, 3, 5]), h, w);
  const bias = random.chance(0.5);
  const after = (y: string): string => {
    const normalized = random.chance(0.6) ? b.batchNorm(y) : y;
    const kind = random.int(0, 3);
    if (kind === 0) return normalized;
    return kind === 1 ? b.clip(normalized, 0, 6) : b.relu(normalized);
  };
  switch (random.int(0, 9)) {
    case 0:
      return after(b.conv(x, c, { kernel: size, group: c, bias }));
    case 1: {
      const stride = random.int(1, 2);
      return after(b.conv(x, random.int(1, 9), { kernel: size, stride, bias }));
    }
    case 2:
      return h > 3 && w > 3 ? b.maxPool(x, { kernel: 2, stride: random.int(1, 2) }) : b.relu(x);
    case 3:
      return b.averagePool(x, {
        kernel: 3,
        stride: 1,
        pads: 1,
        attributes: { count_include_pad: random.int(0, 1) },
      });
    case 4: {
      const partners = live.filter((y) => b.shape(y).join() === b.shape(x).join());
      return b.relu(b.node('Add', [x, random.pick(partners)]));
    }
    case 5: {
      const partners = live.filter((y) => [0, 2, 3].every((axis) => b.shape(y)[axis] === b.shape(x)[axis]));
      return b.node('Concat', [x, random.pick(partners)], { axis: 1 });
    }
    case 6:
      return b.node(random.pick(['Sigmoid', 'Tanh', 'HardSwish', 'Identity', 'LeakyRelu']), [x]);
    case 7:
      return after(x);
    case 8: {
      const gate = b.conv(b.node('GlobalAveragePool', [x]), c, { kernel: 1, bias });
      return after(b.node('Mul', [x, b.node(random.pick(['Sigmoid', 'HardSigmoid']), [gate])]));
    }
    default:
      return after(
        b.conv(x, random.int(1, 9), { kernel: size, bias, dilation: h > 8 && w > 8 ? random.int(1, 2) : 1 }),
      );
  }
}

/** The graph with its only output under another name. */
function renameOutput(graph: Graph, name: string): Graph {
  const [{ name: old }] = graph.outputs as [Graph['outputs'][number]];
  const rename = (value: string) => (value === old ? name : value);
  return inferShapes({
    ...graph,
    nodes: graph.nodes.map((node) => ({ ...node, outputs: node.outputs.map(rename) })),
    outputs: graph.outputs.map((info) => ({ ...info, name })),
    values: new Map(),
  });
}

/** Values in about [-2, 2] for every input of `graph`. */
export function randomInputs(graph: Graph, batch: number, seed: number): Map<string, Float32Array> {
  const random = createRandom(seed);
  return new Map(
    graph.inputs.map(({ name, shape }) => {
      const length = shape.reduce<number>((n, dim) => n * (typeof dim === 'number' ? dim : batch), 1);
      return [name, Float32Array.from({ length }, () => random.next() * 4 - 2)];
    }),
  );
}

/**
 * Patches as tokens, a block of attention with two heads and one of two dense layers, both with residuals, the mean over tokens and a dense layer.
 * Input [N, 3, 8, 8], output `logits`.
 */
export function attentionNet(seed: number): Graph {
  const b = createFloatGraph(seed);
  const [tokens, width, heads] = [16, 12, 2];
  const list = (...values: readonly number[]) =>
    b.constant(`list ${values.join()}`, [values.length], BigInt64Array.from(values, BigInt));
  const dense = (x: string, name: string, inputs: number, outputs: number) => {
    const weights = b.normal(`${name}.weight`, [inputs, outputs], Math.sqrt(1 / inputs));
    return b.node('Add', [b.normal(`${name}.bias`, [outputs], 0.2), b.node('MatMul', [x, weights])]);
  };
  const patches = b.conv(b.input('input', ['N', 3, 8, 8]), width, { kernel: 2, stride: 2, pads: 0 });
  const x = b.node('Transpose', [b.node('Reshape', [patches, list(0, width, tokens)])], { perm: [0, 2, 1] });
  const head = (name: string, perm: readonly number[]) => {
    const split = b.node('Reshape', [dense(x, name, width, width), list(0, tokens, heads, width / heads)]);
    return b.node('Transpose', [split], { perm: [...perm] });
  };
  const scores = b.node('MatMul', [head('query', [0, 2, 1, 3]), head('key', [0, 2, 3, 1])]);
  const scale = b.constant('scale', [], Float32Array.of(Math.sqrt(width / heads)));
  const weights = b.node('Softmax', [b.node('Div', [scores, scale])], { axis: -1 });
  const mixed = b.node('Transpose', [b.node('MatMul', [weights, head('value', [0, 2, 1, 3])])], {
    perm: [0, 2, 1, 3],
  });
  const joined = b.node('Reshape', [mixed, list(0, tokens, width)]);
  const attended = b.node('Add', [x, dense(joined, 'projection', width, width)]);
  const hidden = b.relu(dense(attended, 'wide', width, 2 * width));
  const y = b.node('Add', [attended, dense(hidden, 'narrow', 2 * width, width)]);
  const pooled = b.node('ReduceMean', [y], { axes: [1], keepdims: 0 });
  return renameOutput(b.finish(b.gemm(pooled, 5)), 'logits');
}
