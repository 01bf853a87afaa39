/** Boxes on a picture, in a page. */

/** @param polygons x and y of the corners of each, in turn */
export function drawPolygons(canvas, { width, height, data }, polygons) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d');
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    pixels.data.set([data[3 * i], data[3 * i + 1], data[3 * i + 2], 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
  context.strokeStyle = '#e6007e';
  context.lineWidth = 2;
  for (const points of polygons) {
    context.beginPath();
    for (let i = 0; i < points.length; i += 2) context.lineTo(points[i], points[i + 1]);
    context.closePath();
    context.stroke();
  }
}
