import { resolveAxis } from '../../graph/attributes.ts';
import type { Dimension, Node } from '../../graph/graph.ts';
import { broadcastTo } from '../../graph/operators/dense.ts';
import { groupNormalization } from '../../graph/operators/group-normalization.ts';
import { instanceNormalization } from '../../graph/operators/instance-normalization.ts';
import { layerNormalization } from '../../graph/operators/layer-normalization.ts';
import { lpNormalization } from '../../graph/operators/lp-normalization.ts';
import { rmsNormalization } from '../../graph/operators/rms-normalization.ts';
import { groupedLayout, innermostLayout } from '../../program/layouts.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { roundHalfToEven } from '../../program/multiplier.ts';
import { imageLayout, type Layout, type NormalizeOperation } from '../../program/program.ts';

/** Values of the channels of a pixel: four sums of squares of differences then fit 32 bits each. */
const MAX_CHANNELS = 2 ** 16;
/** Values of a group, exclusive: K · (x − mean) has 28 bits and V, without its fraction, 54. */
const MAX_GROUP = 2 ** 20;
/** V is below 2 to it. */
const VARIANCE_BITS = 62;
/** Fewer fraction bits of the result in steps are too few. */
const MIN_SHIFT = 4;
const MAX_SHIFT = 24;

/** What differs between the operators. */
interface Form {
  readonly layout: Layout;
  readonly isSpatial: boolean;
  readonly groupChannels: number;
  readonly isCentred: boolean;
  readonly epsilon: number;
  /** Of each stored channel. */
  readonly scale: Float32Array | Float64Array;
  readonly bias: Float32Array | undefined;
}

export function lowerNormalize(node: Node, context: LoweringContext): void {
  const shape = context.shape(node, 0) ?? [];
  const form = formOf(node, shape, context);
  if (typeof form === 'string') {
    context.problem(node, form);
    return;
  }
  const { layout, isSpatial, groupChannels, isCentred } = form;
  const [height, width, channels] = layout.image;
  const count = groupChannels * (isSpatial ? height * width : 1);
  if (count >= MAX_GROUP || channels > MAX_CHANNELS) {
    context.problem(node, `normalizes ${count} values together; in integers fewer than ${MAX_GROUP}`);
    return;
  }
  const x = context.inLayout(node, 0, layout);
  const output = x && context.output(node, x);
  if (!output) return;
  const { tensor, lo, hi } = output;
  const root = rootParameters(count, isCentred, form.epsilon, x.scale);
  const affine = affineParameters(count, form.scale, form.bias, tensor.scale);
  if (!root || !affine) {
    const [whose, { scale }] = root ? (["its result's", tensor] as const) : (["its input's", x] as const);
    context.problem(node, `${whose} scale, ${scale}, is too small for its parameters`);
    return;
  }
  context.emit<NormalizeOperation>({
    kind: 'normalize',
    name: node.name,
    inputs: [x.id],
    output: tensor.id,
    isSpatial,
    groupChannels,
    isCentred,
    offset: isCentred ? 0 : x.zeroPoint,
    ...root,
    ...affine,
    zeroPoint: tensor.zeroPoint,
    lo,
    hi,
  });
}

/** Where its values lie innermost, or those of an image; undefined where sizes are not fixed. */
export function normalizeLayout(node: Node, shape: readonly Dimension[]): Layout | undefined {
  if (instanceNormalization.is(node) || groupNormalization.is(node)) return imageLayout(shape);
  if (lpNormalization.is(node))
    return innermostLayout(shape, resolveAxis(lpNormalization.number(node, 'axis'), shape.length));
  const axis = resolveAxis(layerNormalization.number(node, 'axis'), shape.length);
  const isFixed = shape.slice(1).every((size) => typeof size === 'number' && size > 0);
  if (axis === undefined || axis === 0 || !isFixed) return undefined;
  const axes = [...shape.keys()];
  const kept = axes.slice(1, axis);
  return groupedLayout(shape as readonly number[], [kept.slice(0, -1), kept.slice(-1), axes.slice(axis)]);
}

/** The form, or why there is none. */
function formOf(node: Node, shape: readonly Dimension[], context: LoweringContext): Form | string {
  const layout = normalizeLayout(node, shape);
  if (!layout) return `normalizes [${shape}], along the batch or with sizes that are not fixed`;
  const channels = layout.image[2];
  // The same of all rows that have one.
  const epsilon = Math.fround(layerNormalization.number(node, 'epsilon'));
  if (lpNormalization.is(node)) {
    if (lpNormalization.number(node, 'p') !== 2) return 'divides by another norm than that of squares';
    // By the root of the sum, not of the mean.
    const scale = new Float64Array(channels).fill(1 / Math.sqrt(channels));
    return { layout, ...ofPixels(channels), isCentred: false, epsilon: 0, scale, bias: undefined };
  }
  const { nodes, outputs } = context.graph;
  const read = new Set([...nodes.flatMap(({ inputs }) => inputs), ...outputs.map(({ name }) => name)]);
  if (node.outputs.slice(1).some((name) => name !== '' && read.has(name)))
    return 'its mean or deviation is read, too';
  const scale = context.reals(node, 1);
  const bias = context.reals(node, 2);
  if (!scale || (!bias && (node.inputs[2] ?? '') !== '')) return 'its scale and bias must be constants';
  if (instanceNormalization.is(node) || groupNormalization.is(node)) {
    const groups = groupNormalization.is(node) ? groupNormalization.number(node, 'num_groups') : channels;
    const perGroup = channels / groups;
    // One a channel, or before opset 21 one a group.
    const ofChannels = ({ data }: { readonly data: Float32Array }) =>
      data.length === channels
        ? data
        : Float32Array.from({ length: channels }, (_, c) => data[Math.floor(c / perGroup)]);
    return {
      layout,
      isSpatial: true,
      groupChannels: perGroup,
      isCentred: true,
      epsilon,
      scale: ofChannels(scale),
      bias: bias && ofChannels(bias),
    };
  }
  const axis = resolveAxis(layerNormalization.number(node, 'axis'), shape.length);
  const normalized = shape.slice(axis) as number[];
  return {
    layout,
    ...ofPixels(channels),
    isCentred: !rmsNormalization.is(node),
    epsilon,
    scale: broadcastTo(scale, normalized) as Float32Array,
    bias: bias && (broadcastTo(bias, normalized) as Float32Array),
  };
}

const ofPixels = (channels: number) => ({ isSpatial: false, groupChannels: channels }) as const;

/**
 * How V and its root are scaled: by as many bits as leave V below 2⁶². Undefined where epsilon alone is more.
 *
 * @param count K
 * @param scale of the input
 */
export function rootParameters(
  count: number,
  isCentred: boolean,
  epsilon: number,
  scale: number,
): Pick<NormalizeOperation, 'epsilon' | 'varianceBits' | 'droppedBits' | 'rootBits'> | undefined {
  // Of eight bits a variance is at most 2¹⁴; squares of differences to a zero point are at most 255².
  const largest = count * count * (isCentred ? 2 ** 14 : 255 * 255);
  const added = (epsilon * count * count) / (scale * scale);
  let varianceBits = 44;
  while ((largest + added) * 2 ** varianceBits >= 2 ** VARIANCE_BITS && varianceBits >= 0) varianceBits -= 2;
  if (varianceBits < 0 || !Number.isFinite(added)) return undefined;
  const most = largest * 2 ** varianceBits + roundHalfToEven(added * 2 ** varianceBits);
  let bits = 0;
  while (2 ** bits <= most) bits++;
  const halvings = Math.ceil((bits - 30) / 2);
  // |x − mean| / √V is at most √K.
  const fractionBits = rootFractionBits(count);
  const droppedBits = Math.max(0, 15 + halvings - fractionBits - varianceBits / 2);
  return {
    epsilon: roundHalfToEven(added * 2 ** varianceBits),
    varianceBits,
    droppedBits,
    rootBits: droppedBits + varianceBits / 2 + fractionBits - 15,
  };
}

/** Fraction bits of (x − mean) / √V, which is at most √K: it fits 31 bits. */
function rootFractionBits(count: number): number {
  let bits = 30;
  while (2 ** (60 - 2 * bits) < count) bits--;
  return bits;
}

/** Scale and bias of each channel in steps of the output. Undefined where too few bits of a step are left. */
export function affineParameters(
  count: number,
  scale: ArrayLike<number>,
  bias: ArrayLike<number> | undefined,
  outScale: number,
): Pick<NormalizeOperation, 'gamma' | 'beta' | 'shift'> | undefined {
  const gains = Float64Array.from(scale, (value) => value / outScale);
  const offsets = Float64Array.from(scale, (_, c) => (bias?.[c] ?? 0) / outScale);
  const largest = (values: Float64Array) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const [gain, offset] = [largest(gains), largest(offsets)];
  // The product's lower 16 bits are dropped.
  const gammaBits = (shift: number) => shift + 16 - rootFractionBits(count);
  const fits = (bits: number) =>
    roundHalfToEven(gain * 2 ** gammaBits(bits)) < 2 ** 15 && offset * 2 ** bits < 2 ** 30;
  let shift = MAX_SHIFT;
  while (shift >= MIN_SHIFT && !fits(shift)) shift--;
  if (shift < MIN_SHIFT) return undefined;
  return {
    shift,
    gamma: Int32Array.from(gains, (value) => roundHalfToEven(value * 2 ** gammaBits(shift))),
    beta: Int32Array.from(offsets, (value) => roundHalfToEven(value * 2 ** shift)),
  };
}
