import * as v from 'valibot';
import { check, count, numbers, oneOf, options } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { placementSchema, type Placement } from './placement.ts';
import { MAX_PIXELS } from './resize.ts';

/** One number for each place of a grid, row by row. */
export interface FeatureMap<T extends ArrayLike<number> = ArrayLike<number>> {
  readonly width: number;
  readonly height: number;
  readonly data: T;
}

export const featureMap = v.pipe(
  v.object({ width: count, height: count, data: numbers }, 'a map { width, height, data }'),
  v.check(({ width, height, data }) => data.length === width * height, 'a map of width · height numbers'),
);

/**
 * The class with the largest score at each place: what a segmentation network's output is read by. As `torch.argmax(scores, 0)`.
 *
 * @param scores [C, height, width]
 * @returns [height, width]; of equal scores, the lower class
 * @throws {InputError} a number of scores that is no multiple of width · height, or more than 65,536 classes
 */
export function argMax(scores: ArrayLike<number>, width: number, height: number): FeatureMap<Uint16Array> {
  check('argMax', { scores: numbers, width: count, height: count }, { scores, width, height });
  const size = width * height;
  const classes = scores.length / size;
  if (!Number.isInteger(classes) || classes === 0 || classes > 0x10000) {
    throw new InputError(
      `argMax takes ${width}·${height} scores for each of at most 65,536 classes, not ${scores.length} in all`,
    );
  }
  const data = new Uint16Array(size);
  for (let place = 0; place < size; place++) {
    let best = place;
    for (let at = place + size; at < scores.length; at += size) if (scores[at] > scores[best]) best = at;
    data[place] = (best - place) / size;
  }
  return { width, height, data };
}

export interface MapToPictureOptions {
  /** Of the network's input, in pixels. Default: those of the map. */
  readonly inputWidth?: number;
  readonly inputHeight?: number;
  /** Whether values are mixed from the four nearest places (`linear`, the default) or taken from the nearest, as masks of classes need. */
  readonly interpolation?: 'linear' | 'nearest';
}

const mapToPictureOptions = {
  inputWidth: count,
  inputHeight: count,
  interpolation: oneOf('linear', 'nearest'),
};

/**
 * A network's map (a heat map, a depth, a mask) as a map of the picture: one value for each pixel. Pixels outside of what the network saw get
 * the value at the nearest edge. With nothing but a change of size between them it is `torch.nn.functional.interpolate` of mode `bilinear` or
 * `nearest-exact`, in float64.
 *
 * @param map covers the network's input, at whatever resolution
 * @returns [placement.height, placement.width]
 * @throws {InputError} a map without width · height numbers, or what is no placement
 */
export function mapToPicture(
  map: FeatureMap,
  placement: Placement,
  mapping: MapToPictureOptions = {},
): FeatureMap<Float32Array> {
  check(
    'mapToPicture',
    { map: featureMap, placement: placementSchema, options: options(mapToPictureOptions) },
    { map, placement, options: mapping },
  );
  const { inputWidth = map.width, inputHeight = map.height, interpolation = 'linear' } = mapping;
  const { width, height, source, target } = placement;
  if (width * height > MAX_PIXELS) {
    throw new InputError(`cannot map to ${width}×${height}: that is more than ${MAX_PIXELS} pixels`);
  }
  const columns = taps(
    width,
    map.width,
    (x) => (target.left + ((x - source.left) * target.width) / source.width) * (map.width / inputWidth),
    interpolation,
  );
  const rows = taps(
    height,
    map.height,
    (y) => (target.top + ((y - source.top) * target.height) / source.height) * (map.height / inputHeight),
    interpolation,
  );
  const data = new Float32Array(width * height);
  let to = 0;
  for (const row of rows) {
    const upper = row.first * map.width;
    const lower = row.second * map.width;
    for (const { first, second, share } of columns) {
      const above = map.data[upper + first] * (1 - share) + map.data[upper + second] * share;
      const below = map.data[lower + first] * (1 - share) + map.data[lower + second] * share;
      data[to++] = above * (1 - row.share) + below * row.share;
    }
  }
  return { width, height, data };
}

/** The two places of the map that a pixel lies between, and the share of the second. */
interface Taps {
  readonly first: number;
  readonly second: number;
  readonly share: number;
}

function taps(
  pixels: number,
  places: number,
  toMap: (center: number) => number,
  interpolation: 'linear' | 'nearest',
): Taps[] {
  return Array.from({ length: pixels }, (_, pixel) => {
    const center = toMap(pixel + 0.5);
    if (interpolation === 'nearest') {
      const nearest = Math.min(Math.max(Math.floor(center), 0), places - 1);
      return { first: nearest, second: nearest, share: 0 };
    }
    const place = Math.min(Math.max(center - 0.5, 0), places - 1);
    const first = Math.floor(place);
    return { first, second: Math.min(first + 1, places - 1), share: place - first };
  });
}
