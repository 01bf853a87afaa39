/** Pictures of every kind that a page has, as RGB bytes of the network's size. */
import { describeValue } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { pictureFromPixels } from '../vision/picture.ts';
import type { Picture } from '../vision/picture.ts';
import { resize, type ResizeOptions } from '../vision/resize.ts';

/** Anything that a picture can be taken from. Sizes other than the network's are resized. */
export type PictureSource =
  | Picture
  | ImageData
  | ImageBitmap
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | VideoFrame;

/** What a 2D canvas draws: everything but pictures that are pixels already. */
type Drawable = Exclude<PictureSource, Picture | ImageData>;

/**
 * The picture as `channels` (3: RGB, 1: luma) bytes a pixel.
 * @throws {InputError} it has no pixels (yet), they may not be read, or the network takes another number of channels
 */
export function picturePixels(
  source: PictureSource,
  height: number,
  width: number,
  channels: number,
  options: ResizeOptions = {},
): Uint8Array {
  const picture = resize(toPicture(source), width, height, options);
  if (channels === 3) return picture.data;
  if (channels === 1) return toLuma(picture.data);
  throw new InputError(
    `the network's input has ${channels} channels, and pictures have 1 or 3: give it a tensor or { pixels }`,
  );
}

/**
 * Width and height of a picture.
 * @throws {InputError} it has no pixels (yet)
 */
export function pictureSize(source: PictureSource): readonly [width: number, height: number] {
  if (typeof source !== 'object' || source === null) {
    throw new InputError(`a picture was expected, not ${describeValue(source)}`);
  }
  const [width, height] = 'data' in source ? [source.width, source.height] : sizeOf(source);
  if (!(Number.isSafeInteger(width) && Number.isSafeInteger(height) && width > 0 && height > 0)) {
    throw new InputError('the picture has no pixels: has it loaded (or the video started)?');
  }
  return [width, height];
}

function toPicture(source: PictureSource): Picture {
  if (typeof source !== 'object' || source === null) {
    throw new InputError(`a picture was expected, not ${describeValue(source)}`);
  }
  if (!('data' in source)) return draw(source);
  const { data, width, height } = source;
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) {
    return pictureFromPixels(width, height, data);
  }
  throw new InputError('a picture has 8 bits a channel: its data must be a Uint8Array or Uint8ClampedArray');
}

function draw(source: Drawable): Picture {
  const [width, height] = pictureSize(source);
  if (!('OffscreenCanvas' in globalThis)) {
    throw new InputError(
      'a picture without data is drawn on a canvas, which only browsers have: give { width, height, data }, as decodePicture makes it',
    );
  }
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new InputError(`a canvas of ${width}×${height} pixels is too large for this browser`);
  // Transparency on black, as decodePicture has it.
  context.fillRect(0, 0, width, height);
  try {
    context.drawImage(source, 0, 0, width, height);
    return pictureFromPixels(width, height, context.getImageData(0, 0, width, height).data);
  } catch (cause) {
    if (cause instanceof TypeError) {
      throw new InputError(`a picture was expected, not ${describeValue(source)}`, { cause });
    }
    throw new InputError(
      "the picture's pixels may not be read: it comes from another site that does not allow it (CORS)",
      { cause },
    );
  }
}

function sizeOf(source: Drawable): readonly [width: number, height: number] {
  if ('naturalWidth' in source) return [source.naturalWidth, source.naturalHeight];
  if ('videoWidth' in source) return [source.videoWidth, source.videoHeight];
  if ('displayWidth' in source) return [source.displayWidth, source.displayHeight];
  if ('width' in source && 'height' in source) return [source.width, source.height];
  throw new InputError('a picture was expected, not an object without a size');
}

/** ITU-R BT.601 luma in integers, rounded to nearest. */
function toLuma(rgb: Uint8Array): Uint8Array {
  const luma = new Uint8Array(rgb.length / 3);
  for (let i = 0; i < luma.length; i++) {
    luma[i] = Math.floor((299 * rgb[3 * i] + 587 * rgb[3 * i + 1] + 114 * rgb[3 * i + 2] + 500) / 1000);
  }
  return luma;
}
