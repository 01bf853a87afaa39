import { defineOperator, isFloats } from './operator.ts';
import { int } from './signature.ts';

/** Boxes that overlap no better one by more than a threshold: [n, 3], of image, class and box (https://onnx.ai/onnx/operators/onnx__NonMaxSuppression.html). */
export const nonMaxSuppression = defineOperator({
  op: 'NonMaxSuppression',
  since: 10,
  inputs: [2, 5],
  attributes: { center_point_box: int(0) },
  role: 'none',
  hasDynamicShape: true,
  shape: ({ shape }, [scores], node) =>
    shape.length === 3 && scores?.shape.length === 3
      ? { dtype: 'int64', shape: [`${node.outputs[0]}.0`, 3] }
      : `needs boxes [N, boxes, 4] and scores [N, classes, boxes], has [${shape}] and [${scores?.shape ?? []}]`,
  evaluate({ node, inputs: [boxes, scores, most, overlap, least] }) {
    if (!isFloats(boxes) || !isFloats(scores)) return undefined;
    const [images, count] = boxes.shape;
    const classes = scores.shape[1];
    const limit = Number(most?.data[0] ?? 0);
    const threshold = Number(overlap?.data[0] ?? 0);
    const lowest = Number(least?.data[0] ?? -Infinity);
    const isCentered = this.number(node, 'center_point_box') === 1;
    const selected: number[] = [];
    for (let n = 0; n < images; n++) {
      const corners = Array.from({ length: count }, (_, i) =>
        cornersOf(boxes.data.subarray((n * count + i) * 4, (n * count + i + 1) * 4), isCentered),
      );
      for (let c = 0; c < classes; c++) {
        const first = (n * classes + c) * count;
        const scoreOf = (i: number) => scores.data[first + i];
        const order = Array.from(corners.keys()).filter((i) => scoreOf(i) > lowest);
        order.sort((a, b) => scoreOf(b) - scoreOf(a) || a - b);
        const kept: number[] = [];
        for (const i of order) {
          if (kept.length >= limit) break;
          if (kept.every((other) => overlapOf(corners[i], corners[other]) <= threshold)) kept.push(i);
        }
        for (const i of kept) selected.push(n, c, i);
      }
    }
    return { dtype: 'int64', shape: [selected.length / 3, 3], data: BigInt64Array.from(selected, BigInt) };
  },
});

type Corners = readonly [y1: number, x1: number, y2: number, x2: number];

/** Of [y1, x1, y2, x2], whichever corner comes first, or of [x centre, y centre, width, height]. */
function cornersOf([a, b, c, d]: Float32Array, isCentered: boolean): Corners {
  return isCentered
    ? [b - d / 2, a - c / 2, b + d / 2, a + c / 2]
    : [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
}

/** Intersection over union; 0 where a box is empty. */
function overlapOf(a: Corners, b: Corners): number {
  const areaOf = ([y1, x1, y2, x2]: Corners) => (y2 - y1) * (x2 - x1);
  const height = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const width = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const [areaA, areaB] = [areaOf(a), areaOf(b)];
  return areaA <= 0 || areaB <= 0 ? 0 : (height * width) / (areaA + areaB - height * width);
}
