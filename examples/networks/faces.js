/**
 * Finding faces with MTCNN (Zhang et al. 2016), three networks in a row: one proposes boxes on a pyramid of sizes, one sorts out and moves
 * them, one does so again and says where eyes, nose and mouth are. What a page and a Node script share.
 */
import { resize } from 'octetjs';
import { nonMaxSuppression } from 'octetjs/vision';

/** Of the proposing network: it looks at squares of 12 pixels, 2 apart. */
const CELL = 12;
const STRIDE = 2;
const PYRAMID = 0.709;

/** Sizes of the pyramid's pictures for faces from `minFace` pixels on, largest first. */
export function pyramidOf({ width, height }, minFace) {
  const sizes = [];
  for (let scale = CELL / minFace; Math.min(width, height) * scale >= CELL; scale *= PYRAMID) {
    sizes.push({ height: Math.ceil(height * scale), width: Math.ceil(width * scale), scale });
  }
  return sizes;
}

/**
 * @param networks `propose(picture)`, `refine(pictures)` and `finish(pictures)`: each gives the outputs of one network by name
 * @returns faces, surest first: box (left, top, right, bottom), score, points (x and y of two eyes, nose, two corners of the mouth)
 */
export async function detectFaces(networks, picture, { minFace = 40, thresholds = [0.6, 0.7, 0.7] } = {}) {
  let found = [];
  for (const { width, height, scale } of pyramidOf(picture, minFace)) {
    const outputs = await networks.propose(resize(picture, width, height, { fit: 'stretch' }));
    found.push(...keep(proposals(outputs, scale, thresholds[0]), 0.5));
  }
  found = keep(found, 0.7).map(moved).map(square);
  for (const [network, side, threshold] of [
    [networks.refine, 24, thresholds[1]],
    [networks.finish, 48, thresholds[2]],
  ]) {
    if (found.length === 0) break;
    const outputs = await network(found.map(({ box }) => cut(picture, box, side)));
    found = found
      .map(({ box }, i) => ({
        box,
        score: outputs.face.data[2 * i + 1],
        offset: outputs.box.data.slice(4 * i, 4 * i + 4),
        points: outputs.points && pointsIn(box, outputs.points.data.slice(10 * i, 10 * i + 10)),
      }))
      .filter(({ score }) => score > threshold);
    found = side === 24 ? keep(found, 0.7).map(moved).map(square) : keep(found.map(moved), 0.7, 'minimum');
  }
  return found.map(({ box, score, points }) => ({
    box: box.map((value) => Math.round(value)),
    score,
    points,
  }));
}

/** What the proposing network takes for a face. Its channels: no face, face; offsets of the four sides. */
function proposals({ face, box }, scale, threshold) {
  const [, , rows, columns] = face.shape;
  const size = rows * columns;
  const found = [];
  for (let place = 0; place < size; place++) {
    const score = face.data[size + place];
    if (score < threshold) continue;
    const [x, y] = [(place % columns) * STRIDE, Math.floor(place / columns) * STRIDE];
    found.push({
      box: [x, y, x + CELL, y + CELL].map((value) => value / scale),
      score,
      offset: [0, 1, 2, 3].map((side) => box.data[side * size + place]),
    });
  }
  return found;
}

function keep(found, threshold, overlap = 'union') {
  const boxes = found.flatMap(({ box }) => box);
  const scores = found.map(({ score }) => score);
  return nonMaxSuppression(boxes, scores, { threshold, overlap }).map((index) => found[index]);
}

/** Offsets are shares of the box's width and height. */
function moved({ box: [left, top, right, bottom], offset: [dl, dt, dr, db], ...rest }) {
  const [width, height] = [right - left, bottom - top];
  return { ...rest, box: [left + dl * width, top + dt * height, right + dr * width, bottom + db * height] };
}

/** The square around the middle that is as long as the longer side, on whole pixels. */
function square({ box: [left, top, right, bottom], ...rest }) {
  const side = Math.max(right - left, bottom - top);
  const [x, y] = [(left + right - side) / 2, (top + bottom - side) / 2].map(Math.round);
  return { ...rest, box: [x, y, x + Math.max(1, Math.round(side)), y + Math.max(1, Math.round(side))] };
}

/** A part of the picture, black where it reaches beyond, resized. */
function cut({ width, height, data }, [left, top, right, bottom], side) {
  const part = {
    width: right - left,
    height: bottom - top,
    data: new Uint8Array((right - left) * (bottom - top) * 3),
  };
  const [from, to] = [Math.max(0, left), Math.min(width, right)];
  for (let y = Math.max(0, top); y < Math.min(height, bottom) && from < to; y++) {
    part.data.set(
      data.subarray((y * width + from) * 3, (y * width + to) * 3),
      ((y - top) * part.width + from - left) * 3,
    );
  }
  return resize(part, side, side);
}

/** Five x, then five y, as shares of the box. */
function pointsIn([left, top, right, bottom], shares) {
  return [0, 1, 2, 3, 4].flatMap((i) => [
    left + shares[i] * (right - left),
    top + shares[i + 5] * (bottom - top),
  ]);
}
