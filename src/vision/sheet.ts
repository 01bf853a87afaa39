/**
 * A contact sheet: many labelled pictures of one size in one lossless PNG, row by row, beside a JSON file that names
 * them. A person can look at it, and a page can draw from it.
 */
import * as v from 'valibot';
import { check, count, index, text, texts } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { decodePicture } from './decode.ts';
import type { Picture } from './picture.ts';

/** The JSON beside the PNG. */
export interface SheetIndex {
  /** Width and height of a tile in pixels. */
  readonly tile: number;
  /** Tiles in a row of the sheet. */
  readonly columns: number;
  readonly classes: readonly string[];
  /** Class of each tile. */
  readonly labels: readonly number[];
  /** Where each tile is in the data set it was taken from. */
  readonly indices: readonly number[];
  /** Which data set, which part of it, and how the tiles were chosen. */
  readonly source: string;
}

const sheetIndex = v.pipe(
  v.object(
    {
      tile: count,
      columns: count,
      classes: texts,
      labels: v.pipe(v.array(index, 'a list of classes'), v.minLength(1, 'a list of at least one class')),
      indices: v.array(index, 'a list of positions'),
      source: text,
    },
    'an object',
  ),
  v.check(
    ({ labels, indices }) => labels.length === indices.length,
    'an index with as many labels as indices',
  ),
  v.check(
    ({ labels, classes }) => labels.every((label) => label < classes.length),
    'an index whose labels are below the number of its classes',
  ),
);

export interface Sheet extends SheetIndex {
  readonly pictures: readonly Picture[];
}

/**
 * Cuts a sheet into its pictures.
 * @param index the parsed JSON, not trusted
 * @throws {InputError} the PNG is none, or the JSON does not describe it
 */
export async function readSheet(png: Uint8Array, index: unknown): Promise<Sheet> {
  check('readSheet', { index: sheetIndex }, { index });
  const { tile, columns, classes, labels, indices, source } = index as SheetIndex;
  const sheet = await decodePicture(png, { name: 'the contact sheet' });
  const rows = Math.ceil(labels.length / columns);
  if (sheet.width !== columns * tile || sheet.height !== rows * tile) {
    throw new InputError(
      `the contact sheet is ${sheet.width}×${sheet.height}, its index says ${columns}×${rows} tiles of ${tile} pixels`,
    );
  }
  const pictures = labels.map((_, position) => {
    const data = new Uint8Array(tile * tile * 3);
    const left = (position % columns) * tile;
    const top = Math.floor(position / columns) * tile;
    for (let row = 0; row < tile; row++) {
      const start = ((top + row) * sheet.width + left) * 3;
      data.set(sheet.data.subarray(start, start + tile * 3), row * tile * 3);
    }
    return { width: tile, height: tile, data };
  });
  return { tile, columns, classes, labels, indices, source, pictures };
}
