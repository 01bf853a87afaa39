/** node examples/networks/find-text.mjs page.png [out.png] [side]: prints boxes around lines of text as JSON, and draws them. */
import { readFile } from 'node:fs/promises';
import { decodePicture, loadModel } from 'octetjs';
import { drawPolygons } from './draw.mjs';
import { detectText } from './text.js';

const [file, out, side = 384] = process.argv.slice(2);
const picture = await decodePicture(await readFile(file));
const model = await loadModel(new URL('../../models/text-detector.int8.onnx', import.meta.url), {
  backend: 'wasm',
});
const boxes = await detectText(model, picture, Number(side));
model.dispose();
console.log(JSON.stringify(boxes));
if (out)
  await drawPolygons(
    picture,
    boxes.map(({ corners }) => corners),
    out,
  );
