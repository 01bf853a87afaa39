import { check, count, oneOf, options } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { pictureSchema, type Picture } from './picture.ts';

export interface ResizeOptions {
  /**
   * What happens where the aspect ratios differ: `crop` (the default) cuts the largest centred part that has the target's,
   * `stretch` takes the whole picture out of proportion.
   */
  readonly fit?: 'crop' | 'stretch';
}

export const resizeOptions = { fit: oneOf('crop', 'stretch') };

/** A gigabyte at 4 bytes a pixel: beyond what any network takes, and what a page can hold. */
export const MAX_PIXELS = 2 ** 28;

/** Fraction bits of a filter weight: 255 · 2²² < 2³⁰, so a sum of weights times pixels stays in int32. */
const WEIGHT_BITS = 22;

/**
 * Resizes with a triangle filter that widens as the picture shrinks (antialiased bilinear), horizontally and then vertically,
 * each pass rounded to 8 bits. Fixed-point arithmetic throughout: the bytes are the same on every machine, and each pass gives those of
 * Pillow's `Image.resize(size, Resampling.BILINEAR)`.
 * @throws {InputError} no picture, a size that is not a positive integer, or more than 2²⁸ pixels on the way
 */
export function resize(
  picture: Picture,
  width: number,
  height: number,
  resizing: ResizeOptions = {},
): Picture {
  check(
    'resize',
    { picture: pictureSchema, width: count, height: count, options: options(resizeOptions) },
    { picture, width, height, options: resizing },
  );
  const { fit = 'crop' } = resizing;
  const part = fit === 'crop' ? cropToAspect(picture, width, height) : picture;
  if (part.width === width && part.height === height) return part;
  // Columns first: what lies between the two passes is as wide as the result and as high as the picture.
  if (width * Math.max(height, part.height) > MAX_PIXELS) {
    throw new InputError(
      `cannot resize ${picture.width}×${picture.height} to ${width}×${height}: that takes more than ${MAX_PIXELS} pixels`,
    );
  }
  return resizeRows(resizeColumns(part, width), height);
}

/**
 * Where the largest centred part of aspect ratio `width : height` lies in a picture; of an odd remainder, the bottom or right loses the
 * greater half.
 */
export function cropRegion(
  picture: Pick<Picture, 'width' | 'height'>,
  width: number,
  height: number,
): { left: number; top: number; width: number; height: number } {
  const partWidth = Math.max(1, Math.min(picture.width, Math.floor((picture.height * width) / height)));
  const partHeight = Math.max(1, Math.min(picture.height, Math.floor((picture.width * height) / width)));
  return {
    left: (picture.width - partWidth) >> 1,
    top: (picture.height - partHeight) >> 1,
    width: partWidth,
    height: partHeight,
  };
}

/** The part of a picture that `cropRegion` names. */
export function cropToAspect(picture: Picture, width: number, height: number): Picture {
  const region = cropRegion(picture, width, height);
  if (region.width === picture.width && region.height === picture.height) return picture;
  const data = new Uint8Array(region.width * region.height * 3);
  for (let row = 0; row < region.height; row++) {
    const start = ((region.top + row) * picture.width + region.left) * 3;
    data.set(picture.data.subarray(start, start + region.width * 3), row * region.width * 3);
  }
  return { width: region.width, height: region.height, data };
}

/** What one output pixel is made of: `weights.length` input pixels from `first` on; the weights sum to about 2²². */
interface Contribution {
  readonly first: number;
  readonly weights: Int32Array;
}

function contributions(inputSize: number, outputSize: number): Contribution[] {
  const scale = inputSize / outputSize;
  // The filter is as wide as what one output pixel covers, so that nothing of the input is skipped.
  const support = Math.max(scale, 1);
  return Array.from({ length: outputSize }, (_, position) => {
    const center = (position + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(inputSize, Math.trunc(center + support + 0.5));
    const triangle = Array.from({ length: end - first }, (_, offset) =>
      Math.max(0, 1 - Math.abs((first + offset - center + 0.5) * (1 / support))),
    );
    const sum = triangle.reduce((total, weight) => total + weight, 0);
    return {
      first,
      weights: Int32Array.from(triangle, (weight) => Math.trunc((weight / sum) * 2 ** WEIGHT_BITS + 0.5)),
    };
  });
}

function resizeColumns(picture: Picture, width: number): Picture {
  if (picture.width === width) return picture;
  const { height, data } = picture;
  const output = new Uint8Array(width * height * 3);
  const columns = contributions(picture.width, width);
  for (let row = 0, to = 0; row < height; row++) {
    for (const { first, weights } of columns) {
      const start = (row * picture.width + first) * 3;
      for (let channel = 0; channel < 3; channel++) output[to++] = blend(data, start + channel, 3, weights);
    }
  }
  return { width, height, data: output };
}

function resizeRows(picture: Picture, height: number): Picture {
  if (picture.height === height) return picture;
  const { width, data } = picture;
  const output = new Uint8Array(width * height * 3);
  const stride = width * 3;
  let to = 0;
  for (const { first, weights } of contributions(picture.height, height)) {
    for (let lane = 0; lane < stride; lane++) {
      output[to++] = blend(data, first * stride + lane, stride, weights);
    }
  }
  return { width, height, data: output };
}

/** Weighted sum of every `stride`-th byte from `start` on, rounded to the nearest 8-bit value. */
function blend(data: Uint8Array, start: number, stride: number, weights: Int32Array): number {
  let sum = 1 << (WEIGHT_BITS - 1);
  for (let i = 0; i < weights.length; i++) sum += data[start + i * stride] * weights[i];
  const value = sum >> WEIGHT_BITS;
  return value > 255 ? 255 : value;
}
