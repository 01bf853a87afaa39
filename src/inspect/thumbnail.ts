/** Pictures small enough to stand in a report. */
import type { Picture } from '../vision/picture.ts';
import { resize } from '../vision/resize.ts';

/** Longest side in pixels. */
const SIDE = 48;

const HEADER = 54;

/** A picture of at most 48 pixels a side as an address that holds it, in the one format that needs no compression: BMP of 24 bits, rows from the bottom. */
export function thumbnail(picture: Picture): string {
  const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const size = (side: number) => Math.max(1, Math.round(side * scale));
  const { width, height, data } = resize(picture, size(picture.width), size(picture.height), {
    fit: 'stretch',
  });
  const row = Math.ceil((3 * width) / 4) * 4;
  const bytes = new Uint8Array(HEADER + row * height);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, HEADER, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, width, true);
  view.setInt32(22, height, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let y = 0; y < height; y++) {
    const start = HEADER + (height - 1 - y) * row;
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) bytes[start + 3 * x + c] = data[3 * (y * width + x) + 2 - c];
    }
  }
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return `data:image/bmp;base64,${btoa(binary)}`;
}
