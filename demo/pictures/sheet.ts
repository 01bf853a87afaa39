/** The committed contact sheet of test pictures, in rows: a thousand pictures, their classes in a file beside it. */
import { signal } from '@preact/signals';
import type { SheetIndex } from 'octetjs/quantize';
import first from 'virtual:site/first-picture';
import sheetIndex from '../../models/cifar10/test-1000.json' with { type: 'json' };
import type { Pixels } from '../engine/protocol.ts';

const rowFiles = import.meta.glob<string>('../../.cache/site/row-*.png', {
  eager: true,
  query: '?url',
  import: 'default',
});
const rowUrls = Object.keys(rowFiles)
  .sort()
  .map((file) => rowFiles[file]);

/** Known before the pictures themselves are there. */
export const testClasses: readonly string[] = sheetIndex.classes;
export const testLabels: readonly number[] = sheetIndex.labels;
export const testCount = sheetIndex.labels.length;
/** Width and height of a test picture in pixels. */
export const testSide = sheetIndex.tile;

/** The picture that is answered first comes with the script. */
export const firstPicture = {
  index: first.index,
  pixels: (): Pixels => ({
    width: testSide,
    height: testSide,
    data: Uint8Array.from(atob(first.rgb), (character) => character.charCodeAt(0)),
  }),
};

/** Rows fetched at once: the first ones are the first to be looked at. */
const CONNECTIONS = 3;
/** Turns of the page's event loop are given up between chunks of this many pictures. */
const CHUNK = 50;

interface Row {
  /** Address of the row as a picture, for tiles to show a part of. */
  readonly url: string;
  /** RGBA: in main memory, where a lost GPU cannot take it along. */
  readonly image: ImageData;
}

export class Sheet {
  readonly side = testSide;
  readonly classes = testClasses;
  /** True class of each picture. */
  readonly labels = testLabels;
  readonly columns: number;
  /** By row, those that are there. */
  readonly rows = signal<readonly (Row | undefined)[]>([]);

  constructor({ columns }: Pick<SheetIndex, 'columns'>) {
    this.columns = columns;
  }

  /** Null where it is not there yet. */
  pixels(index: number): Pixels | null {
    if (index === firstPicture.index) return firstPicture.pixels();
    const row = this.rows.peek()[Math.floor(index / this.columns)];
    if (!row) return null;
    const { side } = this;
    const x = (index % this.columns) * side;
    const { data: rgba, width } = row.image;
    const data = new Uint8Array(side * side * 3);
    let to = 0;
    for (let y = 0; y < side; y++) {
      for (let column = 0; column < side; column++) {
        const from = (y * width + x + column) * 4;
        data[to++] = rgba[from]!;
        data[to++] = rgba[from + 1]!;
        data[to++] = rgba[from + 2]!;
      }
    }
    return { width: side, height: side, data };
  }

  /** The first `count` pictures after one another. Gives way between chunks, so that the page stays alive. */
  async allPixels(count = testCount): Promise<Uint8Array> {
    await this.load();
    const bytes = this.side * this.side * 3;
    const all = new Uint8Array(count * bytes);
    for (let index = 0; index < count; index++) {
      if (index % CHUNK === CHUNK - 1) await new Promise((resolve) => setTimeout(resolve));
      all.set(this.pixels(index)!.data, index * bytes);
    }
    return all;
  }

  #loading: Promise<void> | null = null;

  /** Fetches all rows, the first ones first. */
  load(): Promise<void> {
    this.#loading ??= this.#loadRows().catch((error: unknown) => {
      this.#loading = null;
      throw error;
    });
    return this.#loading;
  }

  async #loadRows(): Promise<void> {
    let next = 0;
    const connection = async () => {
      while (next < rowUrls.length) {
        const row = next++;
        if (this.rows.peek()[row]) continue;
        const loaded = await openRow(rowUrls[row]);
        const rows = [...this.rows.peek()];
        rows[row] = loaded;
        this.rows.value = rows;
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, connection));
  }
}

export const testSheet = new Sheet(sheetIndex);

async function openRow(url: string): Promise<Row> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  const png = await response.blob();
  // The network learned from the numbers in the file: no colour management.
  const bitmap = await createImageBitmap(png, { colorSpaceConversion: 'none' });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { url: URL.createObjectURL(png), image: context.getImageData(0, 0, width, height) };
}
