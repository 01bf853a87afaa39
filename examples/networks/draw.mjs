/** Boxes on a picture, in Node. */
import sharp from 'sharp';

/** @param polygons x and y of the corners of each, in turn */
export async function drawPolygons({ width, height, data }, polygons, file) {
  const shapes = polygons.map((points) => `<polygon points="${points.join(' ')}"/>`).join('');
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" fill="none" stroke="#e6007e" stroke-width="2">${shapes}</svg>`;
  await sharp(data, { raw: { width, height, channels: 3 } })
    .composite([{ input: Buffer.from(svg) }])
    .toFile(file);
}
