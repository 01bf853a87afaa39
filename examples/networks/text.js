/** Finding text with PP-OCRv4's detector: what a page and a Node script share. */
import { resize } from 'octetjs';
import { placementOf, pointsToPicture, rotatedBoxes } from 'octetjs/vision';

/** Sides of the network's input for a picture: multiples of 32, the shorter one about `side`. */
export function textInputShape({ width, height }, side) {
  const scale = Math.max(1, side / Math.min(width, height));
  const multiple = (length) => Math.max(32, Math.round((length * scale) / 32) * 32);
  return { height: multiple(height), width: multiple(width) };
}

/**
 * @param model text-detector.int8.onnx, which leaves height and width open: it runs at those of the resized picture
 * @param side about the shorter side of what the network sees
 * @returns boxes of lines of text: four corners each, in the picture's pixels, and a score
 */
export async function detectText(model, picture, side) {
  const shape = textInputShape(picture, side);
  const stretched = resize(picture, shape.width, shape.height, { fit: 'stretch' });
  const { outputs } = await model.run({ [model.inputs[0].name]: stretched });
  return textBoxes(outputs.probability, picture, shape);
}

/** The boxes on a map of probabilities that covers the network's input. */
export function textBoxes({ data }, picture, { width, height }) {
  const placement = placementOf(picture, width, height, 'stretch');
  const found = rotatedBoxes({ width, height, data }, { grow: 1.6 });
  return found
    .map(({ corners, score }) => ({
      // The corner of a box is the middle of a place, half a pixel from its edge.
      corners: [
        ...pointsToPicture(
          corners.map((value) => value + 0.5),
          placement,
        ),
      ],
      score,
    }))
    .filter(
      ({ corners: [x0, y0, x1, y1, x2, y2] }) =>
        Math.hypot(x1 - x0, y1 - y0) > 3 && Math.hypot(x2 - x1, y2 - y1) > 3,
    );
}
