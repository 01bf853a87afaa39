/** Where the elements of a moved tensor come from. */
import { type ImageShape, type Layout, type MovePart, type MoveSource, paddedChannels } from './program.ts';

/** Added to an offset that lies outside the input: far enough below 0 for sums of three to stay there, and in int32. */
const OUTSIDE = -(2 ** 29);

/** Most elements whose offsets are listed one by one, and most along an axis: a hostile file may declare billions. */
const MAX_ELEMENTS = 2 ** 22;

/** Whether the axes of a shape are short enough to be listed. */
export function isListable(shape: readonly number[]): boolean {
  return shape.every((size) => size <= MAX_ELEMENTS);
}

/** The moves of one image, in logical terms: element (i₁, i₂, …) of `shape` is element Σ `axes[a][i_a]` of the input, in row-major order. */
export interface LogicalMove {
  /** Without the batch, as are `axes`. A negative entry is outside the input. */
  readonly shape: readonly number[];
  readonly axes: readonly ArrayLike<number>[];
}

/**
 * The byte of an image of `input` that each element of an image of `output` is a copy of: the sum of one offset a row, column and channel
 * where whole axes move (every transposition, slice, padding and nearest resizing), else one offset an element (a reshape that regroups axes
 * which lie apart in memory). Undefined where these are too many.
 */
export function moveSource(input: Layout, output: Layout, move: LogicalMove): MoveSource | undefined {
  if (!isListable(output.image)) return undefined;
  return byAxes(input, output, move) ?? byElements(input, output, move);
}

/** A move that changes nothing but the layout: `shape` is the logical shape without the batch. */
export function relayout(shape: readonly number[]): LogicalMove {
  const axes: Int32Array[] = [];
  let stride = 1;
  for (const size of shape.toReversed()) {
    const step = stride;
    axes.unshift(Int32Array.from({ length: size }, (_, i) => i * step));
    stride *= size;
  }
  return { shape, axes };
}

/**
 * A source through another where that is again offsets a row, column and channel: `outer` takes channels of a tensor of layout `between`,
 * which takes its elements as `inner` says.
 */
export function composedSource(
  outer: MoveSource,
  { image: [, width, channels] }: Layout,
  inner: MoveSource,
): MoveSource | undefined {
  if (outer.kind !== 'axes' || inner.kind !== 'axes') return undefined;
  if (!keepsPixels(outer, width, paddedChannels(channels)) || outer.rows.length !== inner.rows.length) {
    return undefined;
  }
  return { ...inner, channels: outer.channels.map((c) => inner.channels[c]) };
}

/** Whether each pixel takes its channels from the pixel at the same place. */
export function keepsPixels(
  { rows, columns, channels }: Extract<MoveSource, { readonly kind: 'axes' }>,
  width: number,
  stored: number,
): boolean {
  return (
    rows.every((offset, h) => offset === h * width * stored) &&
    columns.length === width &&
    columns.every((offset, w) => offset === w * stored) &&
    channels.every((offset) => offset >= 0 && offset < stored)
  );
}

/** Byte of the input's image that element (h, w, c) of a box of `width` and `channels` is, negative where it is outside. */
export function offsetAt(
  source: MoveSource,
  width: number,
  channels: number,
  h: number,
  w: number,
  c: number,
): number {
  return source.kind === 'axes'
    ? source.rows[h] + source.columns[w] + source.channels[c]
    : source.offsets[(h * width + w) * channels + c];
}

/** Whether channels lie one behind the other in the input. */
export function isRun(channels: Int32Array): boolean {
  return channels.every((offset, c) => offset === channels[0] + c);
}

/** Digits of a logical index along the stored axes, and the bytes between neighbours along them. */
function digits({ image, strides }: Layout): readonly { axis: number; stride: number; step: number }[] {
  const stored = paddedChannels(image[2]);
  const steps = [image[1] * stored, stored, 1];
  // From the largest stride down, each digit is what is left divided by it; axes of one element have none.
  return [0, 1, 2]
    .filter((axis) => image[axis] > 1)
    .sort((a, b) => strides[b] - strides[a])
    .map((axis) => ({ axis, stride: strides[axis], step: steps[axis] }));
}

function byAxes(input: Layout, output: Layout, { shape, axes }: LogicalMove): MoveSource | undefined {
  const long = [...shape.keys()].filter((axis) => shape[axis] > 1);
  const sizes = long.map((axis) => shape[axis]);
  const lists = long.map((axis) => axes[axis]);
  const partial = [0, 1, 2].map((axis) =>
    contributions(output.image[axis], output.strides[axis], sizes, lists),
  );
  const [rows, columns, channels] = partial;
  if (!rows || !columns || !channels) return undefined;
  // Axes of one element add what they add to all.
  const constant = axes.reduce((sum, list, axis) => {
    if (shape[axis] > 1) return sum;
    return sum < 0 || list[0] < 0 ? -1 : sum + list[0];
  }, 0);
  const places = digits(input);
  const largest = new Map(places.map(({ axis }) => [axis, 0]));
  const offsetsOf = (list: Float64Array, added: number): Int32Array => {
    const most = new Map<number, number>();
    const offsets = Int32Array.from(list, (own) => {
      if (own < 0 || added < 0) return OUTSIDE;
      let rest = own + added;
      let offset = 0;
      for (const { axis, stride, step } of places) {
        const digit = Math.floor(rest / stride);
        rest -= digit * stride;
        offset += digit * step;
        most.set(axis, Math.max(most.get(axis) ?? 0, digit));
      }
      return offset;
    });
    for (const [axis, digit] of most) largest.set(axis, largest.get(axis)! + digit);
    return offsets;
  };
  const source: MoveSource = {
    kind: 'axes',
    rows: offsetsOf(rows, 0),
    columns: offsetsOf(columns, 0),
    channels: offsetsOf(channels, constant),
  };
  // Offsets add up where digits do: no sum of the largest ones carries into the next.
  for (const [axis, digit] of largest) if (digit >= input.image[axis]) return undefined;
  return source;
}

/**
 * What each step along a stored axis adds to the input's logical index, negative where it is outside; undefined where the axis is no run of
 * logical ones. `shape` has no axes of one element.
 */
function contributions(
  size: number,
  stride: number,
  shape: readonly number[],
  axes: readonly ArrayLike<number>[],
): Float64Array | undefined {
  let list = new Float64Array(1);
  if (size === 1) return list;
  let below = 1;
  let last = shape.length - 1;
  while (last >= 0 && below < stride) below *= shape[last--];
  if (below !== stride) return undefined;
  for (let axis = last; axis >= 0 && list.length < size; axis--) {
    const own = axes[axis];
    const joined = new Float64Array(shape[axis] * list.length);
    for (let i = 0, at = 0; i < shape[axis]; i++) {
      for (const inner of list) joined[at++] = own[i] < 0 || inner < 0 ? -1 : own[i] + inner;
    }
    list = joined;
  }
  return list.length === size ? list : undefined;
}

function byElements(input: Layout, output: Layout, { shape, axes }: LogicalMove): MoveSource | undefined {
  const [height, width, channels]: ImageShape = output.image;
  if (height * width * channels > MAX_ELEMENTS) return undefined;
  const places = digits(input);
  const offsets = new Int32Array(height * width * channels);
  for (let h = 0, i = 0; h < height; h++) {
    for (let w = 0; w < width; w++) {
      for (let c = 0; c < channels; c++, i++) {
        let rest = h * output.strides[0] + w * output.strides[1] + c * output.strides[2];
        let logical = 0;
        for (let axis = shape.length - 1; axis >= 0; axis--) {
          const part = axes[axis][rest % shape[axis]];
          rest = Math.floor(rest / shape[axis]);
          logical = part < 0 || logical < 0 ? -1 : logical + part;
        }
        if (logical < 0) offsets[i] = OUTSIDE;
        for (const { stride, step } of logical < 0 ? [] : places) {
          const digit = Math.floor(logical / stride);
          logical -= digit * stride;
          offsets[i] += digit * step;
        }
      }
    }
  }
  return { kind: 'elements', offsets };
}

/** Whether some elements come from nowhere. */
export function hasOutside(source: MoveSource): boolean {
  const lists = source.kind === 'axes' ? [source.rows, source.columns, source.channels] : [source.offsets];
  return lists.some((list) => list.some((offset) => offset < 0));
}

/** A part that fills the whole output. */
export function wholePart({ image }: Layout, source: MoveSource, table: Int8Array | null): MovePart {
  return { first: [0, 0, 0], size: image, source, table };
}

/** Entries that a source lists. */
export function offsetCount(source: MoveSource): number {
  return source.kind === 'axes'
    ? source.rows.length + source.columns.length + source.channels.length
    : source.offsets.length;
}
