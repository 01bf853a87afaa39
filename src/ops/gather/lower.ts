import { constantNumbers, resolveAxis } from '../../graph/attributes.ts';
import type { Graph, Node } from '../../graph/graph.ts';
import { gather as gatherRow } from '../../graph/operators/gather.ts';
import { slice } from '../../graph/operators/slice.ts';
import { MAX_CHANNELS, MAX_LISTED, sliceRanges } from '../../graph/strided.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import type { GatherOperation } from '../../program/program.ts';
import { emitSelection } from '../selection.ts';

/** Channels that the selections of each program list so far: small files can ask for gigabytes of them. */
const listedChannels = new WeakMap<LoweringContext, number>();

export function lowerGather(node: Node, context: LoweringContext): void {
  const input = context.activation(node, 0);
  if (!input) return;
  const [height, width, inChannels] = input.shape;
  if (context.rank(node, 0) !== 4 && height * width > 1) {
    context.problem(node, 'selects from a flattened image: select channels before flattening');
    return;
  }
  if (inChannels > MAX_CHANNELS) {
    context.problem(node, `selects from ${inChannels} channels; at most ${MAX_CHANNELS} are supported`);
    return;
  }
  const selected = slice.is(node) ? slicedChannels(node, context.graph) : gatheredChannels(node, context);
  const channels =
    typeof selected === 'string' ? selected : selected.map((c) => (c < 0 ? c + inChannels : c));
  if (typeof channels === 'string') {
    context.problem(node, channels);
    return;
  }
  const outside = channels.findIndex((c) => !(c >= 0 && c < inChannels));
  if (outside >= 0 || channels.length === 0) {
    const what = outside >= 0 ? `channel ${selected[outside]} of` : 'none of';
    context.problem(node, `selects ${what} ${inChannels} channels`);
    return;
  }
  const listed = (listedChannels.get(context) ?? 0) + channels.length;
  if (listed > MAX_LISTED) {
    context.problem(
      node,
      `selects channels where the model has selected ${MAX_LISTED} already, the most that is supported`,
    );
    return;
  }
  listedChannels.set(context, listed);
  emitSelection(node, input, [height, width, channels.length], context, (output): GatherOperation => ({
    kind: 'gather',
    name: node.name,
    inputs: [input.id],
    output,
    channels: Int32Array.from(channels),
  }));
}

/** The channels that a Slice takes, or what is wrong. */
function slicedChannels(node: Node, graph: Graph): readonly number[] | string {
  const shape = graph.values.get(node.inputs[0])!.shape;
  const ranges = sliceRanges(node, shape, (name) => constantNumbers(graph, name));
  const channels = ranges?.get(1);
  for (const [axis, { start, step, length }] of ranges ?? []) {
    const isWhole = start === 0 && step === 1 && length === shape[axis];
    if (axis !== 1 && !isWhole) return `selects along axis ${axis}; only channels (axis 1) are supported`;
  }
  if (!channels) return 'must select channels (axis 1) by constant bounds';
  return Array.from({ length: channels.length }, (_, i) => channels.start + i * channels.step);
}

/** The channels that a Gather takes, or what is wrong. */
function gatheredChannels(node: Node, context: LoweringContext): readonly number[] | string {
  const rank = context.rank(node, 0) ?? 4;
  const axis = resolveAxis(gatherRow.number(node, 'axis'), rank);
  if (axis !== 1) return `selects along axis ${axis ?? '?'}; only channels (axis 1) are supported`;
  const indices = context.plainConstant(node, 1);
  if (indices?.shape.length !== 1) return 'must select channels by a constant list of indices';
  return Array.from(indices.data, Number);
}
