import { coordinatesOf, sizeOf } from './dense.ts';
import { roundToEven } from '../half.ts';
import { defineOperator, isFloats } from './operator.ts';
import { int, string } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__GridSample.html */
export const gridSample = defineOperator({
  op: 'GridSample',
  since: 16,
  inputs: [2, 2],
  attributes: { align_corners: int(0), mode: string('linear'), padding_mode: string('zeros') },
  role: 'none',
  shape({ shape }, [grid]) {
    const rank = shape.length;
    if (rank < 3 || grid?.shape.length !== rank || grid.shape.at(-1) !== rank - 2)
      return `a grid of shape [${grid?.shape ?? []}] does not fit [${shape}]`;
    return [shape[0], shape[1], ...grid.shape.slice(1, -1)];
  },
  /** Coordinates, weights and sums in float64, axis by axis from the first; rounded once. */
  evaluate({ node, inputs: [x, grid], shape }) {
    if (!isFloats(x) || !isFloats(grid)) return undefined;
    const { mode = 'linear', padding_mode: padding = 'zeros' } = node.attributes;
    const tapsOf = modes.get(mode);
    if (!tapsOf || !PADDINGS.has(padding)) return undefined;
    const isAligned = this.number(node, 'align_corners') === 1;
    const [images, channels, ...sizes] = x.shape;
    const points = sizeOf(shape.slice(2));
    const pixels = sizeOf(sizes);
    const data = new Float32Array(sizeOf(shape));
    for (let n = 0; n < images; n++) {
      for (let point = 0; point < points; point++) {
        // The grid's last axis counts from the innermost: x, y, z.
        const axes = sizes.map((size, axis) => {
          const g = grid.data[(n * points + point) * sizes.length + sizes.length - 1 - axis];
          const at = isAligned ? ((g + 1) / 2) * (size - 1) : ((g + 1) * size - 1) / 2;
          return tapsOf(bounded(at, size, padding, isAligned)).map(
            ([place, weight]): readonly [place: number, weight: number] => [
              padding === 'zeros' ? place : Math.round(bounded(place, size, padding, isAligned)),
              weight,
            ],
          );
        });
        const counts = axes.map((taps) => taps.length);
        for (let c = 0; c < channels; c++) {
          const plane = (n * channels + c) * pixels;
          let sum = 0;
          for (let tap = 0; tap < sizeOf(counts); tap++) {
            const chosen = coordinatesOf(tap, counts).map((i, axis) => axes[axis][i]);
            if (chosen.some(([place], axis) => !(place >= 0 && place < sizes[axis]))) continue;
            const place = chosen.reduce((at, [own], axis) => at * sizes[axis] + own, 0);
            sum += chosen.reduce((weight, [, own]) => weight * own, 1) * x.data[plane + place];
          }
          data[(n * channels + c) * points + point] = sum;
        }
      }
    }
    return { dtype: 'float32', shape, data };
  },
});

const PADDINGS: ReadonlySet<unknown> = new Set(['zeros', 'border', 'reflection']);

type Taps = readonly (readonly [place: number, weight: number])[];

const linear = (x: number): Taps => {
  const first = Math.floor(x);
  return [
    [first, 1 - (x - first)],
    [first + 1, x - first],
  ];
};

/** Keys 1981, with the coefficient −0.75. */
function cubicWeight(distance: number): number {
  const a = -0.75;
  const x = Math.abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

const cubic = (x: number): Taps =>
  [-1, 0, 1, 2].map((step) => {
    const place = Math.floor(x) + step;
    return [place, cubicWeight(x - place)];
  });

/** To nearest, ties to even, as ONNX Runtime rounds. */
const nearest = (x: number): Taps => [[roundToEven(x), 1]];

/** Names before opset 20 included. */
const modes: ReadonlyMap<unknown, (x: number) => Taps> = new Map<unknown, (x: number) => Taps>([
  ['linear', linear],
  ['bilinear', linear],
  ['cubic', cubic],
  ['bicubic', cubic],
  ['nearest', nearest],
]);

/** `x` brought inside by the padding mode; zeros leave it outside. */
function bounded(x: number, size: number, padding: unknown, isAligned: boolean): number {
  if (padding === 'border') return Math.min(size - 1, Math.max(0, x));
  if (padding !== 'reflection') return x;
  const [low, high] = isAligned ? [0, size - 1] : [-0.5, size - 0.5];
  const span = high - low;
  if (span === 0) return 0;
  const turned = Math.abs(x - low) % (2 * span);
  const at = low + (turned > span ? 2 * span - turned : turned);
  return Math.min(size - 1, Math.max(0, at));
}
