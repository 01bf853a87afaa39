/** node examples/networks/classify.mjs photo.jpg …: what EfficientNet-Lite0 takes photographs for. */
import { readFile } from 'node:fs/promises';
import { decodePicture, loadModel } from 'octetjs';

const model = await loadModel(new URL('../../models/efficientnet-lite0.int8.onnx', import.meta.url));
for (const file of process.argv.slice(2)) {
  const picture = await decodePicture(await readFile(file));
  const { predictions } = await model.classify(picture, { topK: 3 });
  console.log(file, predictions.map((p) => `${p.label} ${(100 * p.probability).toFixed(0)} %`).join(', '));
}
model.dispose();
