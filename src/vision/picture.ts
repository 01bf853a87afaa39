import * as v from 'valibot';
import { byteArray, check, count } from '../arguments.ts';
import { InputError } from '../errors.ts';

/** A decoded picture: RGB, row-major, 3 bytes a pixel, `data.length === width · height · 3`. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A `Picture` that a caller made. */
export const pictureSchema = v.pipe(
  v.object(
    { width: count, height: count, data: v.instance(Uint8Array, 'a Uint8Array') },
    'a picture { width, height, data }',
  ),
  v.check(
    ({ width, height, data }) => data.length === width * height * 3,
    'a picture whose data has 3 bytes a pixel (pictureFromPixels takes RGBA)',
  ),
);

/** Takes RGB (3 bytes a pixel) or RGBA (4, the alpha dropped), as in `ImageData`. Throws an InputError on any other length or size. */
export function pictureFromPixels(
  width: number,
  height: number,
  pixels: Uint8Array | Uint8ClampedArray,
): Picture {
  check('pictureFromPixels', { width: count, height: count, pixels: byteArray }, { width, height, pixels });
  const size = width * height;
  if (pixels.length === size * 3) {
    return { width, height, data: new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length) };
  }
  if (pixels.length !== size * 4) {
    throw new InputError(
      `a ${width}×${height} picture has ${size * 3} (RGB) or ${size * 4} (RGBA) bytes, not ${pixels.length}`,
    );
  }
  const data = new Uint8Array(size * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4) {
    data[to++] = pixels[from]!;
    data[to++] = pixels[from + 1]!;
    data[to++] = pixels[from + 2]!;
  }
  return { width, height, data };
}
