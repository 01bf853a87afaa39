/** ConvTranspose as a convolution: its phases are output channels, which DepthToSpace lays out as pixels. */
import { transposedWindow } from '../geometry.ts';
import { type GraphIndex, indexGraph } from '../graph-index.ts';
import type { Graph, Node, Tensor, TensorData } from '../graph.ts';
import { convTranspose } from '../operators/conv-transpose.ts';
import { conv } from '../operators/conv.ts';
import { depthToSpace } from '../operators/depth-to-space.ts';
import { dequantizeLinear } from '../operators/dequantize-linear.ts';
import { int64 } from '../operators/normalize-context.ts';
import { slice } from '../operators/slice.ts';
import { valueNames } from '../rewrite.ts';

/**
 * Element Y = y + pad of a transposed convolution of stride s is of phase p = Y mod s; it sums the taps k with k·dilation ≡ p (mod s), of
 * the input's elements ⌊Y/s⌋ − (k·dilation − p)/s. One convolution computes all phases of one ⌊Y/s⌋, with taps of 0 where a phase has none.
 * Strides that differ by axis, and weights that are no constants, are left as they are, and open heights and widths where the padding
 * depends on them. Expects inferred shapes.
 */
export function transposedToConv(graph: Graph): Graph {
  if (!graph.nodes.some(convTranspose.is)) return graph;
  const index = indexGraph(graph);
  const constants = new Map(graph.constants);
  const names = valueNames(graph);
  const nodes = graph.nodes.flatMap((node) => {
    const parts = convTranspose.is(node)
      ? rewritten(index, node, constants, (wanted) => names.fresh(wanted))
      : undefined;
    return parts ?? [node];
  });
  return { ...graph, nodes, constants };
}

/** In place of a size that is open. */
const ANY_SIZE = 64;

function rewritten(
  index: GraphIndex,
  node: Node,
  constants: Map<string, Tensor>,
  fresh: (wanted: string) => string,
): Node[] | undefined {
  const { graph } = index;
  const [x, weights = '', bias = ''] = node.inputs;
  const quantized = index.producer(weights);
  const stored = graph.constants.get(dequantizeLinear.is(quantized) ? quantized.inputs[0] : weights);
  const sizes = graph.values.get(x)?.shape.slice(2) ?? [];
  if (stored?.shape.length !== 4 || sizes.length !== 2) return undefined;
  const isOpen = sizes.some((size) => typeof size !== 'number');
  const [height, width] = sizes.map((size) => (typeof size === 'number' ? size : ANY_SIZE));
  const [inChannels, perGroup, kernelHeight, kernelWidth] = stored.shape;
  const window = transposedWindow(node, [height, width], [kernelHeight, kernelWidth]);
  if (typeof window === 'string') return undefined;
  const { stride, pads, dilation, outputSize } = window;
  const block = stride[0];
  if (stride[1] !== block) return undefined;
  const groups = convTranspose.number(node, 'group');
  const outChannels = perGroup * groups;
  // How many elements back the farthest tap reaches.
  const reach = [kernelHeight, kernelWidth].map((size, axis) =>
    Math.floor(((size - 1) * dilation[axis]) / block),
  );
  const inPerGroup = inChannels / groups;
  const shape = [outChannels * block * block, inPerGroup, reach[0] + 1, reach[1] + 1];

  const added: Node[] = [];
  const constant = (wanted: string, tensor: Omit<Tensor, 'name'>): string => {
    const name = fresh(`${node.name}.${wanted}`);
    constants.set(name, { ...tensor, name });
    return name;
  };
  /** A constant made anew: as it is, or behind a DequantizeLinear with a scale for each output channel. */
  const operand = (
    input: string,
    make: (tensor: Tensor, zeroPoint: number) => Omit<Tensor, 'name'>,
    axis: number,
  ): string | undefined => {
    const producer = index.producer(input);
    const tensor = graph.constants.get(input);
    if (tensor) return constant('constant', make(tensor, 0));
    if (!dequantizeLinear.is(producer)) return undefined;
    const [data, ...parameters] = producer.inputs.map((name) => graph.constants.get(name));
    if (!data || !parameters[0]) return undefined;
    const [scale, zeroPoint] = parameters;
    const isPerChannel = scale.data.length > 1;
    if (
      isPerChannel &&
      (scale.data.length !== data.shape[axis] || zeroPoint?.data.some((z) => Number(z) !== 0))
    ) {
      return undefined;
    }
    const zero = Number(zeroPoint?.data[0] ?? 0);
    const ofPhases = (list: Tensor): Tensor =>
      list.data.length === 1
        ? list
        : repeated(list, shape[0], (o) => Math.floor(o / (block * block)) % list.data.length);
    const inputs = [make(data, zero), ...parameters.map((each) => each && ofPhases(each))].map((each) =>
      each ? constant('constant', each) : '',
    );
    const output = fresh(`${node.name}.dequantized`);
    added.push({
      ...producer,
      name: output,
      inputs,
      outputs: [output],
      attributes: { ...producer.attributes, axis: 0 },
    });
    return output;
  };

  const convWeights = operand(
    weights,
    (tensor, zeroPoint) => {
      const length = shape.reduce((product, size) => product * size, 1);
      const data = new (tensor.data.constructor as new (length: number) => TensorData)(length).fill(
        zeroPoint as never,
      );
      for (let c = 0; c < inChannels; c++) {
        const group = Math.floor(c / inPerGroup);
        for (let o = 0; o < perGroup; o++) {
          for (let ky = 0; ky < kernelHeight; ky++) {
            for (let kx = 0; kx < kernelWidth; kx++) {
              const [y, x] = [ky * dilation[0], kx * dilation[1]];
              const phase = (y % block) * block + (x % block);
              const row = reach[0] - Math.floor(y / block);
              const column = reach[1] - Math.floor(x / block);
              const channel = (group * perGroup + o) * block * block + phase;
              const to = ((channel * inPerGroup + (c % inPerGroup)) * shape[2] + row) * shape[3] + column;
              data[to] = tensor.data[((c * perGroup + o) * kernelHeight + ky) * kernelWidth + kx];
            }
          }
        }
      }
      return { dtype: tensor.dtype, shape, data };
    },
    1,
  );
  const convBias =
    bias === ''
      ? ''
      : operand(
          bias,
          (tensor) =>
            repeated(tensor, shape[0], (o) =>
              tensor.data.length === 1 ? 0 : Math.floor(o / (block * block)),
            ),
          0,
        );
  if (convWeights === undefined || convBias === undefined) return undefined;

  // Blocks of pixels that cover what is kept, and padding behind the image for the last of them.
  const blocks = [0, 1].map((axis) =>
    Math.max([height, width][axis], Math.ceil((pads[axis] + outputSize[axis]) / block)),
  );
  const isWhole = [0, 1].every((axis) => pads[axis] === 0 && blocks[axis] * block === outputSize[axis]);
  // The result's size is the stride times the input's, plus what does not depend on it, unless output_shape says otherwise.
  const isAnySize = isWhole && blocks[0] === height && blocks[1] === width && !node.attributes.output_shape;
  if (isOpen && !isAnySize) return undefined;
  const laidOut = isWhole ? node.outputs[0] : fresh(`${node.name}.whole`);
  const convolved = block === 1 ? laidOut : fresh(`${node.name}.phases`);
  const convolution: Node = {
    ...node,
    op: conv.op,
    inputs: convBias === '' ? [x, convWeights] : [x, convWeights, convBias],
    outputs: [convolved],
    attributes: {
      group: groups,
      kernel_shape: [shape[2], shape[3]],
      pads: [reach[0], reach[1], blocks[0] - height, blocks[1] - width],
    },
  };
  added.push(convolution);
  if (block > 1) {
    added.push({
      name: fresh(`${node.name}.pixels`),
      op: depthToSpace.op,
      inputs: [convolved],
      outputs: [laidOut],
      attributes: { blocksize: block, mode: 'CRD' },
    });
  }
  if (!isWhole) {
    const bounds = [pads, pads.map((pad, axis) => pad + outputSize[axis]), [2, 3]];
    const inputs = bounds.map((list) => constant('bounds', int64(list)));
    added.push({
      name: fresh(`${node.name}.cut`),
      op: slice.op,
      inputs: [laidOut, ...inputs],
      outputs: node.outputs,
      attributes: {},
    });
  }
  return added;
}

function repeated(
  tensor: Tensor,
  length: number,
  from: (o: number) => number,
): Omit<Tensor, 'name'> & { name: string } {
  const data = new (tensor.data.constructor as new (length: number) => TensorData)(length);
  for (let o = 0; o < length; o++) data[o] = tensor.data[from(o)];
  return { ...tensor, shape: [length], data };
}
