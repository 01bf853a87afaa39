import { platform } from '#platform';
import { GIF } from 'image-size/types/gif';
import { HEIF } from 'image-size/types/heif';
import { JPG } from 'image-size/types/jpg';
import { PNG } from 'image-size/types/png';
import { WEBP } from 'image-size/types/webp';
import * as v from 'valibot';
import { check, options, text } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { Picture } from './picture.ts';

const decodeOptions = {
  maxPixels: v.custom<number>((value) => typeof value === 'number' && value > 0, 'a number above 0'),
  name: text,
};

/** What browsers decode, and Node with the optional package `sharp`; without it, Node decodes PNG and JPEG. */
const FORMATS = { PNG, JPEG: JPG, WebP: WEBP, GIF, AVIF: HEIF };

/** 50 megapixels are 150 MB of RGB: more than any camera picture that a 32×32 or 224×224 network has use for. */
export const MAX_PIXELS = 50_000_000;

export interface DecodePictureOptions {
  /** Largest width × height, checked in the header before anything is decoded. Default `MAX_PIXELS`. */
  readonly maxPixels?: number;
  /** What error messages call the picture. Default `the picture`. */
  readonly name?: string;
}

/**
 * Decodes a PNG, JPEG, WebP, GIF (first frame) or AVIF file to RGB: upright, transparency on black. Colour profiles and gamma chunks are
 * not applied: the stored values are what torchvision, Pillow and TensorFlow give networks in training. An opaque PNG decodes to the same
 * bytes everywhere; JPEG may differ by a step between decoders. Node needs the package `sharp` for WebP, GIF, AVIF and JPEG in CMYK.
 * @throws {InputError} no Uint8Array, empty, not a picture, of an unknown format or one without a decoder, too large, or damaged
 */
export async function decodePicture(
  bytes: Uint8Array,
  decoding: DecodePictureOptions = {},
): Promise<Picture> {
  check('decodePicture', { options: options(decodeOptions) }, { options: decoding });
  const { name = 'the picture', maxPixels = MAX_PIXELS } = decoding;
  const { format, width, height } = readSize(bytes, name);
  if (width * height > maxPixels) {
    const megapixels = (pixels: number) => (pixels / 1e6).toFixed(pixels < 1e7 ? 1 : 0);
    throw new InputError(
      `${name} has ${width}×${height} pixels (${megapixels(width * height)} megapixels), the limit is ` +
        `${megapixels(maxPixels)}: scale it down first`,
    );
  }
  try {
    return await platform.decodePixels(bytes, format);
  } catch (cause) {
    if (cause instanceof InputError) throw new InputError(`${name}: ${cause.message}`, { cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError(`${name} is damaged or cut off: ${reason}`, { cause });
  }
}

/** What the file's header says. Throws an InputError where there is none. */
function readSize(bytes: Uint8Array, name: string): { format: string; width: number; height: number } {
  if (!(bytes instanceof Uint8Array)) {
    throw new InputError(
      `${name} is decoded from a Uint8Array: new Uint8Array(buffer) makes one of an ArrayBuffer`,
    );
  }
  if (bytes.length === 0) throw new InputError(`${name} is an empty file`);
  for (const [format, { validate, calculate }] of Object.entries(FORMATS)) {
    let size: { width: number; height: number };
    try {
      if (!validate(bytes)) continue;
      size = calculate(bytes);
    } catch (cause) {
      throw new InputError(`${name} starts like a ${format} file but its header is damaged`, { cause });
    }
    if (!(size.width > 0 && size.height > 0)) {
      throw new InputError(`${name} is a ${format} file of ${size.width}×${size.height} pixels`);
    }
    return { format, width: size.width, height: size.height };
  }
  const formats = Object.keys(FORMATS).join(', ');
  throw new InputError(
    looksLikeText(bytes)
      ? `${name} is a text file, not a picture (${formats})`
      : `${name} is not a picture that Octet can decode (${formats})`,
  );
}

function looksLikeText(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 512).every((byte) => byte >= 32 || byte === 9 || byte === 10 || byte === 13);
}
