import type { Node } from '../../graph/graph.ts';
import { scalesOf } from '../../graph/operators/resize.ts';
import { type AxisTaps, resizeTaps } from '../../graph/resizing.ts';
import { type AxisGroups, axisGroups, groupedLayout } from '../../program/layouts.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { roundHalfToEven, toMultiplier } from '../../program/multiplier.ts';
import type { ResizeOperation, ResizeTaps } from '../../program/program.ts';

export function lowerResize(node: Node, context: LoweringContext): void {
  const from = context.shape(node, 0) ?? [];
  const to = context.graph.values.get(node.outputs[0])?.shape ?? [];
  const isFixed = [...from.slice(1), ...to.slice(1)].every((size) => typeof size === 'number');
  if (!isFixed || from.length < 2 || from[0] !== to[0]) {
    context.problem(node, `resizes [${from}] to [${to}]: sizes must be fixed, and the batch stay`);
    return;
  }
  // The batch is as long as the result's, whatever it is.
  const shapes = [from, to].map((shape) => [1, ...(shape.slice(1) as number[])]);
  const scales = scalesOf(node, (name) => {
    const data = context.graph.constants.get(name)?.data;
    return data?.length === ((node.attributes.axes as number[] | undefined) ?? from).length
      ? Array.from(data, Number)
      : undefined;
  });
  if (!scales && !node.inputs[3]) {
    context.problem(node, 'its scales must be constants');
    return;
  }
  const taps = resizeTaps(node, shapes[0], shapes[1], scales);
  if (typeof taps === 'string') {
    context.problem(node, `what it resizes ${taps}`);
    return;
  }
  const input = context.activation(node, 0);
  if (!input) return;
  const resized = [...taps.keys()].filter((axis) => taps[axis] !== null);
  const groups = spatialGroups(resized, from.length, axisGroups(input, shapes[0]));
  if (!groups) {
    context.problem(node, `interpolates along ${resized.length} axes that do not lie together; only two do`);
    return;
  }
  const x = context.inLayout(node, 0, groupedLayout(shapes[0], groups));
  if (!x) return;
  const output = context.output(node, groupedLayout(shapes[1], groups));
  if (!output) return;
  const { tensor, lo, hi } = output;
  const [rowTaps, columnTaps] = [groups[0], groups[1]].map((axes, stored) => {
    const axis = axes.find((each) => taps[each] !== null);
    return axis === undefined ? unchanged(x.image[stored]) : taps[axis]!;
  });
  const bits = weightBits(rowTaps, columnTaps);
  // An even part for each axis.
  const rowBits = Math.ceil(bits / 2);
  const multiplier = toMultiplier(Math.fround(x.scale / tensor.scale));
  context.emit<ResizeOperation>({
    kind: 'resize',
    name: node.name,
    inputs: [x.id],
    output: tensor.id,
    rows: fixedPoint(rowTaps, rowBits),
    columns: fixedPoint(columnTaps, bits - rowBits),
    requantize: {
      mantissa: multiplier.mantissa,
      shift: Math.min(multiplier.shift + bits, 56),
      zeroPoint: tensor.zeroPoint,
      lo,
      hi,
    },
  });
}

/** Axes as stored so that those that are resized are rows and columns of their own; undefined where they cannot be. */
function spatialGroups(
  resized: readonly number[],
  rank: number,
  current: AxisGroups | undefined,
): AxisGroups | undefined {
  const isAlone = (axes: readonly number[]) =>
    axes.length === 1 || axes.every((axis) => !resized.includes(axis));
  const covers = (groups: AxisGroups) =>
    resized.every((axis) => groups[0].includes(axis) || groups[1].includes(axis));
  if (current && current.every(isAlone) && covers(current)) return current;
  const all = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  const usual: AxisGroups = [all.slice(1, -1), all.slice(1).slice(-1), all.slice(0, 1)];
  if (usual.every(isAlone) && covers(usual)) return usual;
  if (resized.length > 2 || resized.length === 0) return undefined;
  const [first, second = first] = resized;
  const rest = all.filter((axis) => axis !== first && axis !== second);
  const areNeighbours = rest.every((axis, i) => i === 0 || axis === rest[i - 1] + 1);
  if (!areNeighbours) return undefined;
  return first === second ? [[], [first], rest] : [[first], [second], rest];
}

function unchanged(size: number): AxisTaps {
  return {
    count: 1,
    places: Int32Array.from({ length: size }, (_, i) => i),
    weights: new Float64Array(size).fill(1),
  };
}

/** Most bits behind the point of a row's weight times a column's, at which every sum of them and values up to 255 is an int32. */
function weightBits(rows: AxisTaps, columns: AxisTaps): number {
  const largest = [rows, columns].reduce((product, axis) => product * largestSum(axis), 1);
  let bits = 23;
  // Rounded weights may be half a unit larger each.
  while (bits > 2 && 255 * largest * 2 ** bits * (1 + 2 ** -8) >= 2 ** 31) bits--;
  return bits;
}

function largestSum({ count, weights }: AxisTaps): number {
  let largest = 0;
  for (let i = 0; i < weights.length; i += count) {
    largest = Math.max(
      largest,
      weights.subarray(i, i + count).reduce((sum, w) => sum + Math.abs(w), 0),
    );
  }
  return largest;
}

/** Integers that add up to one at each place, so that a constant image stays what it is: the largest weight takes the rest. */
function fixedPoint({ count, places, weights }: AxisTaps, bits: number): ResizeTaps {
  const integers = Int32Array.from(weights, (weight) => roundHalfToEven(weight * 2 ** bits));
  for (let i = 0; i < integers.length; i += count) {
    let largest = i;
    let sum = 0;
    for (let tap = i; tap < i + count; tap++) {
      sum += integers[tap];
      if (integers[tap] > integers[largest]) largest = tap;
    }
    integers[largest] += 2 ** bits - sum;
  }
  return { count, places, weights: integers };
}
