import * as v from 'valibot';
import { check, count, finite, integer, numbers, oneOf, options } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { pictureSchema, type Picture } from './picture.ts';
import { cropRegion, MAX_PIXELS, resize } from './resize.ts';

/** A part of a picture or of a network's input, in its pixels. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Which part of a picture lies where in a network's input: what leads from the one's coordinates to the other's. */
export interface Placement {
  /** The whole picture's size. */
  readonly width: number;
  readonly height: number;
  /** The part of the picture that the network sees. */
  readonly source: Region;
  /** Where that part lies in the network's input. */
  readonly target: Region;
}

const positive = v.pipe(
  finite,
  v.check((value) => value > 0, 'a number above 0'),
);
const region = v.object(
  { left: finite, top: finite, width: positive, height: positive },
  'a region { left, top, width, height }',
);
export const placementSchema = v.object(
  { width: count, height: count, source: region, target: region },
  'a placement { width, height, source, target }',
);

export interface LetterboxOptions {
  /** What the bars are made of, in all three channels. Default 114, a grey. */
  readonly fill?: number;
  /** Where the picture lies between the bars: in the middle (the default), or at the top left, bars right and below. */
  readonly align?: 'center' | 'start';
}

const letterboxOptions = { fill: integer(0, 255), align: oneOf('center', 'start') };

/** A picture between bars, and where it lies. */
export interface Letterboxed {
  readonly picture: Picture;
  readonly placement: Placement;
}

/**
 * Scales a picture as it is to fit into `width`×`height` and fills what is left with bars. Of an odd remainder, the right or bottom bar gets the
 * greater half.
 * @throws {InputError} no picture, a size that is not a positive integer, or more than 2²⁸ pixels on the way
 */
export function letterbox(
  picture: Picture,
  width: number,
  height: number,
  boxing: LetterboxOptions = {},
): Letterboxed {
  check(
    'letterbox',
    { picture: pictureSchema, width: count, height: count, options: options(letterboxOptions) },
    { picture, width, height, options: boxing },
  );
  const { fill = 114, align = 'center' } = boxing;
  if (width * height > MAX_PIXELS) {
    throw new InputError(`cannot letterbox to ${width}×${height}: that is more than ${MAX_PIXELS} pixels`);
  }
  const scale = Math.min(width / picture.width, height / picture.height);
  const innerWidth = Math.min(width, Math.max(1, Math.round(picture.width * scale)));
  const innerHeight = Math.min(height, Math.max(1, Math.round(picture.height * scale)));
  const left = align === 'center' ? (width - innerWidth) >> 1 : 0;
  const top = align === 'center' ? (height - innerHeight) >> 1 : 0;
  const inner = resize(picture, innerWidth, innerHeight, { fit: 'stretch' });
  const data = new Uint8Array(width * height * 3).fill(fill);
  for (let row = 0; row < innerHeight; row++) {
    const from = row * innerWidth * 3;
    data.set(inner.data.subarray(from, from + innerWidth * 3), ((top + row) * width + left) * 3);
  }
  return {
    picture: { width, height, data },
    placement: {
      width: picture.width,
      height: picture.height,
      source: wholeOf(picture),
      target: { left, top, width: innerWidth, height: innerHeight },
    },
  };
}

/**
 * Where `resize`, and with it `Model.run` and `Model.classify`, put a picture.
 *
 * @param picture its size is enough
 * @param width of the network's input
 * @param fit as in `ResizeOptions`
 * @throws {InputError} a size that is not a positive integer
 */
export function placementOf(
  picture: Pick<Picture, 'width' | 'height'>,
  width: number,
  height: number,
  fit: 'crop' | 'stretch' = 'crop',
): Placement {
  const size = v.object({ width: count, height: count }, 'a picture or its size { width, height }');
  check(
    'placementOf',
    { picture: size, width: count, height: count, fit: oneOf('crop', 'stretch') },
    { picture, width, height, fit },
  );
  return {
    width: picture.width,
    height: picture.height,
    source: fit === 'crop' ? cropRegion(picture, width, height) : wholeOf(picture),
    target: { left: 0, top: 0, width, height },
  };
}

const wholeOf = ({ width, height }: Pick<Picture, 'width' | 'height'>): Region => ({
  left: 0,
  top: 0,
  width,
  height,
});

/**
 * Points of a network's input as points of the picture, moved to the nearest edge where they lie outside of it.
 *
 * @param points x and y in turn, [N, 2]; a box (left, top, right, bottom) is two points
 * @returns as many numbers, in the picture's pixels, whose left upper corner is (0, 0)
 * @throws {InputError} an odd number of them, or what is no placement
 */
export function pointsToPicture(points: ArrayLike<number>, placement: Placement): Float64Array {
  check('pointsToPicture', { points: numbers, placement: placementSchema }, { points, placement });
  if (points.length % 2 !== 0) {
    throw new InputError(`pointsToPicture takes x and y in turn, not ${points.length} numbers`);
  }
  const { source, target, width, height } = placement;
  return Float64Array.from(points, (value, index) => {
    const place =
      index % 2 === 0
        ? source.left + ((value - target.left) * source.width) / target.width
        : source.top + ((value - target.top) * source.height) / target.height;
    return Math.min(Math.max(place, 0), index % 2 === 0 ? width : height);
  });
}
