/** The committed contact sheet of test pictures: many in one PNG, row by row, their classes in a file beside it. */
import type { SheetIndex } from 'octetjs/quantize';
import modelUrl from '../../models/vgg16-cifar10.int8.onnx';
import sheetIndex from '../../models/cifar10/test-1000.json' with { type: 'json' };
import sheetUrl from '../../models/cifar10/test-1000.png';
import type { Pixels } from '../engine/protocol.ts';

export { modelUrl };

/** Known before the picture itself is there. */
export const testClasses: readonly string[] = sheetIndex.classes;
export const testCount = sheetIndex.labels.length;

/** Turns of the page's event loop are given up between chunks of this many pictures. */
const CHUNK = 50;

export class Sheet {
  /** Pixels on each side of a picture. */
  readonly side: number;
  readonly classes: readonly string[];
  /** True class of each picture. */
  readonly labels: readonly number[];
  /** Address of the whole sheet as a picture, for tiles to show a part of. */
  readonly url: string;
  readonly columns: number;
  /** RGBA of the whole sheet: in main memory, where a lost GPU cannot take it along. */
  readonly #image: ImageData;

  constructor(url: string, image: ImageData, { tile, columns, classes, labels }: SheetIndex) {
    this.url = url;
    this.#image = image;
    this.columns = columns;
    this.side = tile;
    this.classes = classes;
    this.labels = labels;
  }

  pixels(index: number): Pixels {
    const { side } = this;
    const x = (index % this.columns) * side;
    const y = Math.floor(index / this.columns) * side;
    const { data: rgba, width } = this.#image;
    const data = new Uint8Array(side * side * 3);
    let to = 0;
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        const from = ((y + row) * width + x + column) * 4;
        data[to++] = rgba[from]!;
        data[to++] = rgba[from + 1]!;
        data[to++] = rgba[from + 2]!;
      }
    }
    return { width: side, height: side, data };
  }

  /** The first `count` pictures after one another. Gives way between chunks, so that the page stays alive. */
  async allPixels(count = this.labels.length): Promise<Uint8Array> {
    const bytes = this.side * this.side * 3;
    const all = new Uint8Array(count * bytes);
    for (let index = 0; index < count; index++) {
      if (index % CHUNK === CHUNK - 1) await new Promise((resolve) => setTimeout(resolve));
      all.set(this.pixels(index).data, index * bytes);
    }
    return all;
  }
}

export async function openTestSheet(): Promise<Sheet> {
  const response = await fetch(sheetUrl);
  if (!response.ok) throw new Error(`${sheetUrl}: ${response.status} ${response.statusText}`);
  // The network learned from the numbers in the file: no colour management.
  const png = await response.blob();
  const bitmap = await createImageBitmap(png, { colorSpaceConversion: 'none' });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return new Sheet(URL.createObjectURL(png), context.getImageData(0, 0, width, height), sheetIndex);
}
