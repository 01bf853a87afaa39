import { check, finite, options } from '../arguments.ts';
import { featureMap, type FeatureMap } from './maps.ts';

export interface RotatedBoxesOptions {
  /** Places with a higher value belong to an object. Default 0.3. */
  readonly threshold?: number;
  /** Boxes with a lower mean of the values inside are left out. Default 0.5. */
  readonly minScore?: number;
  /** Boxes whose shorter side is below this are left out, in places of the map. Default 3. */
  readonly minSide?: number;
  /**
   * How far each side is moved outwards, times area / circumference: networks that keep neighbouring objects apart learn regions that are smaller
   * than these. Default 0; 1.6 for PP-OCR's text detector.
   */
  readonly grow?: number;
}

const rotatedBoxesOptions = { threshold: finite, minScore: finite, minSide: finite, grow: finite };

/** A rectangle in any direction, and the mean of the map's values in it. */
export interface RotatedBox {
  /** x and y of the four corners, clockwise from the one at the top left, in places of the map. */
  readonly corners: readonly number[];
  readonly score: number;
}

/** A rectangle by its middle, the unit vector (ux, uy) along its width, and half of each side. */
interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly ux: number;
  readonly uy: number;
  readonly halfWidth: number;
  readonly halfHeight: number;
}

/**
 * The objects on a heat map: regions of places above a threshold that touch, corners included, each as the smallest rectangle in any
 * direction around the middles of its places. How a text detector's output is read (Liao et al. 2020, "Real-time Scene Text Detection with
 * Differentiable Binarization"); without the growing, `cv2.minAreaRect` of `cv2.connectedComponents`.
 *
 * @returns in the order of their first places, row by row
 * @throws {InputError} a map without width · height numbers
 */
export function rotatedBoxes(map: FeatureMap, finding: RotatedBoxesOptions = {}): RotatedBox[] {
  check(
    'rotatedBoxes',
    { map: featureMap, options: options(rotatedBoxesOptions) },
    { map, options: finding },
  );
  const { threshold = 0.3, minScore = 0.5, minSide = 3, grow = 0 } = finding;
  const boxes: RotatedBox[] = [];
  for (const outline of outlinesOf(map, threshold)) {
    const rectangle = smallestRectangle(convexHull(outline));
    if (2 * Math.min(rectangle.halfWidth, rectangle.halfHeight) < minSide) continue;
    const score = meanInside(map, rectangle);
    if (!(score >= minScore)) continue;
    const { halfWidth, halfHeight } = rectangle;
    // A single place has no sides to move.
    const margin = halfWidth > 0 ? (grow * halfWidth * halfHeight) / (halfWidth + halfHeight) : 0;
    boxes.push({
      corners: cornersOf({ ...rectangle, halfWidth: halfWidth + margin, halfHeight: halfHeight + margin }),
      score,
    });
  }
  return boxes;
}

/** For each region the first and last place of each of its rows, as x and y in turn: all that its hull depends on. */
function outlinesOf({ width, height, data }: FeatureMap, threshold: number): number[][] {
  const seen = new Uint8Array(width * height);
  const outlines: number[][] = [];
  const stack: number[] = [];
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] || !(data[start] > threshold)) continue;
    const rows = new Map<number, [first: number, last: number]>();
    seen[start] = 1;
    stack.push(start);
    for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
      const x = place % width;
      const y = (place - x) / width;
      const row = rows.get(y);
      if (!row) rows.set(y, [x, x]);
      else if (x < row[0]) row[0] = x;
      else if (x > row[1]) row[1] = x;
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const next = ny * width + nx;
          if (seen[next] || !(data[next] > threshold)) continue;
          seen[next] = 1;
          stack.push(next);
        }
      }
    }
    outlines.push([...rows].flatMap(([y, [first, last]]) => [first, y, last, y]));
  }
  return outlines;
}

/** Andrew's monotone chain: corners of the hull in order, as [x, y]. */
function convexHull(points: readonly number[]): [number, number][] {
  const sorted: [number, number][] = [];
  for (let i = 0; i < points.length; i += 2) sorted.push([points[i], points[i + 1]]);
  sorted.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const chain = (ordered: readonly [number, number][]) => {
    const hull: [number, number][] = [];
    for (const [x, y] of ordered) {
      for (
        let last = hull.at(-1), before = hull.at(-2);
        last && before;
        last = hull.at(-1), before = hull.at(-2)
      ) {
        if ((last[0] - before[0]) * (y - before[1]) > (last[1] - before[1]) * (x - before[0])) break;
        hull.pop();
      }
      hull.push([x, y]);
    }
    return hull.slice(0, -1);
  };
  const hull = [...chain(sorted), ...chain(sorted.reverse())];
  return hull.length > 0 ? hull : [sorted[0]];
}

/** One of its sides lies along a side of the hull (Freeman & Shapira 1975). Of equal areas, the first in the hull's order. */
function smallestRectangle(hull: readonly (readonly [number, number])[]): Rectangle {
  let best: Rectangle | undefined;
  for (const [index, [x0, y0]] of hull.entries()) {
    const [x1, y1] = hull[(index + 1) % hull.length];
    const length = Math.sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0));
    // Of one place: any direction will do.
    const [ux, uy] = length > 0 ? [(x1 - x0) / length, (y1 - y0) / length] : [1, 0];
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const [x, y] of hull) {
      const along = x * ux + y * uy;
      const across = y * ux - x * uy;
      left = Math.min(left, along);
      right = Math.max(right, along);
      top = Math.min(top, across);
      bottom = Math.max(bottom, across);
    }
    const [halfWidth, halfHeight] = [(right - left) / 2, (bottom - top) / 2];
    if (best && halfWidth * halfHeight >= best.halfWidth * best.halfHeight) continue;
    const [along, across] = [(left + right) / 2, (top + bottom) / 2];
    best = { x: along * ux - across * uy, y: along * uy + across * ux, ux, uy, halfWidth, halfHeight };
  }
  return best!;
}

/** Mean of the values at places whose middle is in the rectangle. */
function meanInside(map: FeatureMap, rectangle: Rectangle): number {
  const { x, y, ux, uy, halfWidth, halfHeight } = rectangle;
  const reachX = Math.abs(ux) * halfWidth + Math.abs(uy) * halfHeight;
  const reachY = Math.abs(uy) * halfWidth + Math.abs(ux) * halfHeight;
  /** Places on the edge count, whatever the rounding of the rotation makes of them. */
  const slack = 1e-6;
  let [sum, count] = [0, 0];
  for (
    let row = Math.max(0, Math.floor(y - reachY));
    row <= Math.min(map.height - 1, Math.ceil(y + reachY));
    row++
  ) {
    for (
      let column = Math.max(0, Math.floor(x - reachX));
      column <= Math.min(map.width - 1, Math.ceil(x + reachX));
      column++
    ) {
      const [dx, dy] = [column - x, row - y];
      if (Math.abs(dx * ux + dy * uy) > halfWidth + slack || Math.abs(dy * ux - dx * uy) > halfHeight + slack)
        continue;
      sum += map.data[row * map.width + column];
      count++;
    }
  }
  return sum / count;
}

function cornersOf({ x, y, ux, uy, halfWidth, halfHeight }: Rectangle): number[] {
  const corners = [
    [-1, -1],
    [1, -1],
    [1, 1],
    [-1, 1],
  ].map(([along, across]) => {
    const [a, b] = [along * halfWidth, across * halfHeight];
    return [x + a * ux - b * uy, y + a * uy + b * ux];
  });
  // The top left one is nearest to the origin along the diagonal.
  let first = 0;
  for (const [index, [cx, cy]] of corners.entries()) {
    if (cx + cy < corners[first][0] + corners[first][1]) first = index;
  }
  return [...corners.slice(first), ...corners.slice(0, first)].flat();
}
