/** Pictures with shapes on them, as files. */
import { importSharp } from '../platform/node/pictures.ts';
import type { Picture } from '../vision/picture.ts';

/** A colour that few photographs have, for two pixels to be seen on any. */
const COLOUR = '#e6007e';

/**
 * A picture with outlines, encoded as `file`'s ending says.
 *
 * @param polygons x and y of the corners of each, in turn, in the picture's pixels
 * @throws {InputError} sharp is not installed
 */
export async function drawPolygons(
  { width, height, data }: Picture,
  polygons: readonly (readonly number[])[],
  format: 'png' | 'jpeg' | 'webp',
): Promise<Uint8Array> {
  const shapes = polygons.map((points) => `<polygon points="${points.join(' ')}"/>`).join('');
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" fill="none" stroke="${COLOUR}" stroke-width="2">${shapes}</svg>`;
  const sharp = await importSharp('drawing');
  return sharp(data, { raw: { width, height, channels: 3 } })
    .composite([{ input: Buffer.from(svg) }])
    .toFormat(format)
    .toBuffer();
}
