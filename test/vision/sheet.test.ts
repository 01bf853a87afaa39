import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { readSheet, type SheetIndex } from '../../src/vision/sheet.ts';

const models = new URL('../../models/cifar10/', import.meta.url);
const committed = (name: string) =>
  readSheet(
    readFileSync(new URL(`${name}.png`, models)),
    JSON.parse(readFileSync(new URL(`${name}.json`, models), 'utf8')),
  );

describe('the committed sheets', () => {
  test('1,000 test images, 100 a class, any hundred of them balanced', async () => {
    const { pictures, labels, indices, classes } = await committed('test-1000');
    expect(pictures.length).toBe(1000);
    expect(new Set(indices).size).toBe(1000);
    expect(classes[3]).toBe('cat');
    for (let start = 0; start < 1000; start += 100) {
      const counts = classes.map(
        (_, c) => labels.slice(start, start + 100).filter((label) => label === c).length,
      );
      expect(counts).toEqual(new Array(10).fill(10));
    }
  });

  test('512 training images', async () => {
    const { pictures, indices } = await committed('calibration-512');
    expect(pictures.length).toBe(512);
    expect(pictures.every(({ data }) => data.length === 3072)).toBe(true);
    expect(Math.max(...indices)).toBeGreaterThan(10_000);
  });
});

describe('readSheet', () => {
  const index: SheetIndex = {
    tile: 2,
    columns: 2,
    classes: ['a', 'b'],
    labels: [0, 1, 1],
    indices: [7, 8, 9],
    source: 'x',
  };
  // Tile n is filled with 10·(n + 1); the fourth place stays empty.
  const pixels = Uint8Array.from({ length: 4 * 4 * 3 }, (_, i) => {
    const [row, column] = [Math.floor(i / 12), Math.floor((i % 12) / 3)];
    return 10 * ((row >> 1) * 2 + (column >> 1) + 1);
  });
  const png = sharp(pixels, { raw: { width: 4, height: 4, channels: 3 } })
    .png()
    .toBuffer();

  test('cuts tiles row by row', async () => {
    const { pictures } = await readSheet(await png, index);
    expect(pictures.map(({ data }) => [...new Set(data)])).toEqual([[10], [20], [30]]);
  });

  test.each([
    ['no index', null],
    ['a tile of no size', { ...index, tile: 0 }],
    ['a label without class', { ...index, labels: [0, 1, 2] }],
    ['no labels', { ...index, labels: [], indices: [] }],
    ['too few indices', { ...index, indices: [1] }],
    ['more tiles than the PNG holds', { ...index, labels: [0, 0, 0, 0, 0], indices: [1, 2, 3, 4, 5] }],
    ['another width', { ...index, columns: 3 }],
  ])('refuses %s', async (_, bad) => {
    await expect(readSheet(await png, bad)).rejects.toThrow(InputError);
  });
});
