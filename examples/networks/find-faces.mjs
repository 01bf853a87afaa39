/** node examples/networks/find-faces.mjs photo.jpg [out.png]: prints faces as JSON, and draws them. */
import { readFile } from 'node:fs/promises';
import { decodePicture } from 'octetjs';
import { drawPolygons } from './draw.mjs';
import { loadFaceNetworks } from './face-networks.js';
import { detectFaces } from './faces.js';

const [file, out] = process.argv.slice(2);
const picture = await decodePicture(await readFile(file));
const networks = await loadFaceNetworks(new URL('../../models/', import.meta.url), { backend: 'wasm' });
const faces = await detectFaces(networks, picture);
await networks.dispose();
console.log(JSON.stringify(faces));
if (out) {
  const outlines = faces.map(({ box: [left, top, right, bottom] }) => [
    left,
    top,
    right,
    top,
    right,
    bottom,
    left,
    bottom,
  ]);
  await drawPolygons(picture, outlines, out);
}
