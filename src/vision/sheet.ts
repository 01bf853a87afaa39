/**
 * A contact sheet: many labelled pictures of one size in one lossless PNG, row by row, beside a JSON file that names
 * them. A person can look at it, and a page can draw from it.
 */
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

export interface Sheet extends SheetIndex {
  readonly pictures: readonly Picture[];
}

/**
 * Cuts a sheet into its pictures.
 * @param index the parsed JSON, not trusted
 * @throws {InputError} the PNG is none, or the JSON does not describe it
 */
export async function readSheet(png: Uint8Array, index: unknown): Promise<Sheet> {
  const { tile, columns, classes, labels, indices, source } = checkIndex(index);
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

function checkIndex(index: unknown): SheetIndex {
  const { tile, columns, classes, labels, indices, source } = (index ?? {}) as Record<
    keyof SheetIndex,
    unknown
  >;
  const refuse = (what: string): never => {
    throw new InputError(`the index of the contact sheet is wrong: ${what}`);
  };
  if (!isCount(tile) || !isCount(columns)) return refuse('tile and columns must be positive integers');
  if (!Array.isArray(classes) || !classes.every((name) => typeof name === 'string')) {
    return refuse('classes must be a list of names');
  }
  const count = classes.length;
  if (
    !Array.isArray(labels) ||
    labels.length === 0 ||
    !labels.every((label) => isIndex(label) && label < count)
  ) {
    return refuse(`labels must be a list of class indices below ${count}`);
  }
  if (!Array.isArray(indices) || indices.length !== labels.length || !indices.every(isIndex)) {
    return refuse('indices must be a list as long as labels');
  }
  if (typeof source !== 'string') return refuse('source must be a text');
  return { tile, columns, classes, labels: labels as number[], indices, source };
}

function isIndex(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

function isCount(value: unknown): value is number {
  return isIndex(value) && value > 0;
}
