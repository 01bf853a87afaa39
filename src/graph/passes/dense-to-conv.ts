import { indexGraph } from '../graph-index.ts';
import type { Graph, Node, Tensor } from '../graph.ts';
import { add } from '../operators/add.ts';
import { conv } from '../operators/conv.ts';
import { matMul } from '../operators/mat-mul.ts';
import { reshape } from '../operators/reshape.ts';
import { transpose } from '../operators/transpose.ts';
import { valueNames } from '../rewrite.ts';

/**
 * Products of rows, [N, …, C], with a constant matrix as 1×1 convolutions of [N, C, H, W], with the Add of a constant behind them as the
 * bias: so that weights are quantized, equalized and corrected like any layer's. Expects inferred shapes.
 */
export function denseToConv(graph: Graph): Graph {
  const index = indexGraph(graph);
  const names = valueNames(graph);
  const constants = new Map(graph.constants);
  const merged = new Set<Node>();
  /** Inputs with the channels in front, which products of one input share. */
  const images = new Map<string, string>();

  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    if (merged.has(node)) return [];
    const [input, weightName] = node.inputs;
    const weights = matMul.is(node) ? graph.constants.get(weightName) : undefined;
    const shape = graph.values.get(input)?.shape ?? [];
    const sizes = shape.slice(1);
    const isFixed = sizes.every((size): size is number => typeof size === 'number');
    if (!(weights?.data instanceof Float32Array) || weights.shape.length !== 2) return [node];
    if (shape.length < 3 || !isFixed) return [node];
    const [inChannels, outChannels] = weights.shape;
    const rest = sizes.slice(0, -1);
    const rank = shape.length;
    const added: Node[] = [];
    const emit = (
      op: string,
      what: string,
      inputs: readonly string[],
      attributes: Node['attributes'],
      output = names.fresh(`${node.name}.${what}`),
    ): string => {
      added.push({ name: names.fresh(`${node.name}.${what}`), op, inputs, outputs: [output], attributes });
      return output;
    };
    const hold = (what: string, tensor: Omit<Tensor, 'name'>): string => {
      const name = names.fresh(`${node.name}.${what}`);
      constants.set(name, { name, ...tensor });
      return name;
    };
    const list = (what: string, values: readonly number[]) =>
      hold(what, { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) });

    let image = images.get(input);
    if (image === undefined) {
      const perm = [0, rank - 1, ...rest.map((_, i) => i + 1)];
      image = emit(transpose.op, 'channelsFirst', [input], { perm });
      const area = rest.reduce((product, size) => product * size, 1);
      if (rank !== 4)
        image = emit(reshape.op, 'image', [image, list('imageShape', [0, inChannels, 1, area])], {});
      images.set(input, image);
    }
    const bias = biasOf(index.onlyReader(node.outputs[0]), node.outputs[0], outChannels, rank, graph);
    if (bias) merged.add(bias.sum);
    const inputs = [image, hold('weight', kernelOf(weights))];
    if (bias) inputs.push(hold('bias', { dtype: 'float32', shape: [outChannels], data: bias.data }));
    const convolved = names.fresh(`${node.name}.convolved`);
    added.push({ ...node, op: conv.op, inputs, outputs: [convolved], attributes: { kernel_shape: [1, 1] } });
    const unfolded =
      rank === 4
        ? convolved
        : emit(reshape.op, 'rows', [convolved, list('rowsShape', [0, outChannels, ...rest])], {});
    const perm = [0, ...rest.map((_, i) => i + 2), 1];
    emit(transpose.op, 'channelsLast', [unfolded], { perm }, (bias?.sum ?? node).outputs[0]);
    return added;
  });
  return { ...graph, constants, nodes };
}

/** [inputs, outputs] as [outputs, inputs, 1, 1]. */
function kernelOf({ shape: [inputs, outputs], data }: Tensor): Omit<Tensor, 'name'> {
  const kernel = new Float32Array(inputs * outputs);
  for (let i = 0; i < inputs; i++) {
    for (let o = 0; o < outputs; o++) kernel[o * inputs + i] = Number(data[i * outputs + o]);
  }
  return { dtype: 'float32', shape: [outputs, inputs, 1, 1], data: kernel };
}

/** The Add of one constant a column, or of one for all, behind a product. */
function biasOf(
  sum: Node | undefined,
  product: string,
  outChannels: number,
  rank: number,
  graph: Graph,
): { readonly sum: Node; readonly data: Float32Array } | undefined {
  if (!add.is(sum)) return undefined;
  const tensor = graph.constants.get(sum.inputs.find((name) => name !== product) ?? '');
  if (!(tensor?.data instanceof Float32Array) || tensor.shape.length > rank) return undefined;
  if (tensor.shape.slice(0, -1).some((size) => size !== 1)) return undefined;
  if (tensor.data.length === outChannels) return { sum, data: tensor.data };
  return tensor.data.length === 1
    ? { sum, data: new Float32Array(outChannels).fill(tensor.data[0]) }
    : undefined;
}
