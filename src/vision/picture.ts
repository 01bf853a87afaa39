import { InputError } from '../errors.ts';

/** A decoded picture: RGB, row-major, 3 bytes a pixel, `data.length === width · height · 3`. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Takes RGB (3 bytes a pixel) or RGBA (4, the alpha dropped), as in `ImageData`. Throws an InputError on any other length. */
export function pictureFromPixels(
  width: number,
  height: number,
  pixels: Uint8Array | Uint8ClampedArray,
): Picture {
  const count = width * height;
  if (!Number.isInteger(width) || !Number.isInteger(height) || count <= 0) {
    throw new InputError(`a picture of ${width}×${height} pixels has no content`);
  }
  if (pixels.length === count * 3) {
    return { width, height, data: new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length) };
  }
  if (pixels.length !== count * 4) {
    throw new InputError(
      `a ${width}×${height} picture has ${count * 3} (RGB) or ${count * 4} (RGBA) bytes, not ${pixels.length}`,
    );
  }
  const data = new Uint8Array(count * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4) {
    data[to++] = pixels[from]!;
    data[to++] = pixels[from + 1]!;
    data[to++] = pixels[from + 2]!;
  }
  return { width, height, data };
}
