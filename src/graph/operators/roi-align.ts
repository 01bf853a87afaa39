import { sizeOf } from './dense.ts';
import { defineOperator, isFloats } from './operator.ts';
import { float, int, since, string } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__RoiAlign.html */
export const roiAlign = defineOperator({
  op: 'RoiAlign',
  since: 10,
  inputs: [3, 3],
  attributes: {
    /** `half_pixel` since opset 16, which had no such attribute and counted otherwise before. */
    coordinate_transformation_mode: since(16, string('half_pixel')),
    mode: string('avg'),
    output_height: int(1),
    output_width: int(1),
    sampling_ratio: int(0),
    spatial_scale: float(1),
  },
  role: 'none',
  normalize(node, { graph }) {
    if (graph.opset >= 16) return [node];
    return [
      { ...node, attributes: { ...node.attributes, coordinate_transformation_mode: 'output_half_pixel' } },
    ];
  },
  shape({ shape }, [rois], node) {
    if (shape.length !== 4 || rois?.shape.length !== 2)
      return `needs an image [N, C, H, W] and regions [n, 4], has [${shape}] and [${rois?.shape ?? []}]`;
    return [rois.shape[0], shape[1], this.number(node, 'output_height'), this.number(node, 'output_width')];
  },
  /** Samples, means and maxima in float64, in order of rows and columns; rounded once. */
  evaluate({ node, inputs: [x, rois, batches], shape }) {
    if (!isFloats(x) || !isFloats(rois) || !batches) return undefined;
    const [count, channels, rows, columns] = shape;
    const [images, , height, width] = x.shape;
    const isHalfPixel = (node.attributes.coordinate_transformation_mode ?? 'half_pixel') === 'half_pixel';
    const scale = this.number(node, 'spatial_scale');
    const ratio = this.number(node, 'sampling_ratio');
    const isMax = node.attributes.mode === 'max';
    const data = new Float32Array(sizeOf(shape));
    for (let r = 0; r < count; r++) {
      const image = Number(batches.data[r]);
      if (!(image >= 0 && image < images)) return undefined;
      const shift = isHalfPixel ? 0.5 : 0;
      const [x1, y1, x2, y2] = Array.from(rois.data.subarray(r * 4, r * 4 + 4), (v) => v * scale - shift);
      const extent = (from: number, to: number) => (isHalfPixel ? to - from : Math.max(1, to - from));
      const [binHeight, binWidth] = [extent(y1, y2) / rows, extent(x1, x2) / columns];
      const samplesOf = (bin: number) => Math.max(1, ratio > 0 ? ratio : Math.ceil(bin));
      const [sampleRows, sampleColumns] = [samplesOf(binHeight), samplesOf(binWidth)];
      for (let c = 0; c < channels; c++) {
        const plane = x.data.subarray(
          (image * channels + c) * height * width,
          (image * channels + c + 1) * height * width,
        );
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            let [sum, largest] = [0, -Infinity];
            for (let i = 0; i < sampleRows; i++) {
              const y = y1 + (row + (i + 0.5) / sampleRows) * binHeight;
              for (let j = 0; j < sampleColumns; j++) {
                const at = x1 + (column + (j + 0.5) / sampleColumns) * binWidth;
                const corners = cornersOf(y, at, height, width);
                let sample = 0;
                for (const [place, weight] of corners) {
                  sample += weight * plane[place];
                  largest = Math.max(largest, weight * plane[place]);
                }
                if (corners.length === 0) largest = Math.max(largest, 0);
                sum += sample;
              }
            }
            const at = ((r * channels + c) * rows + row) * columns + column;
            data[at] = isMax ? largest : sum / (sampleRows * sampleColumns);
          }
        }
      }
    }
    return { dtype: 'float32', shape, data };
  },
});

/** The four pixels around a point and their weights; none for a point more than a pixel outside. */
function cornersOf(
  y: number,
  x: number,
  height: number,
  width: number,
): readonly (readonly [place: number, weight: number])[] {
  if (y < -1 || y > height || x < -1 || x > width) return [];
  const [inY, inX] = [Math.min(Math.max(y, 0), height - 1), Math.min(Math.max(x, 0), width - 1)];
  const [top, left] = [Math.floor(inY), Math.floor(inX)];
  const [bottom, right] = [Math.min(top + 1, height - 1), Math.min(left + 1, width - 1)];
  const [dy, dx] = [inY - top, inX - left];
  return [
    [top * width + left, (1 - dy) * (1 - dx)],
    [top * width + right, (1 - dy) * dx],
    [bottom * width + left, dy * (1 - dx)],
    [bottom * width + right, dy * dx],
  ];
}
