/** The committed contact sheet of test pictures: many in one PNG, row by row, their classes in a file beside it. Usable on the page and in workers. */
import modelUrl from '../../models/vgg16-cifar10.int8.onnx';
import sheetUrl from '../../models/cifar10/test-1000.png';
import sheetIndex from '../../models/cifar10/test-1000.json' with { type: 'json' };
import type { SheetIndex } from 'octet';
import type { Pixels } from '../engine/protocol.ts';

export { modelUrl };

export class Sheet {
  /** Pixels on each side of a picture. */
  readonly side: number;
  readonly classes: readonly string[];
  /** True class of each picture. */
  readonly labels: readonly number[];
  readonly #bitmap: ImageBitmap;
  readonly #columns: number;
  readonly #scratch: OffscreenCanvasRenderingContext2D;

  constructor(bitmap: ImageBitmap, { tile, columns, classes, labels }: SheetIndex) {
    this.#bitmap = bitmap;
    this.#columns = columns;
    this.side = tile;
    this.classes = classes;
    this.labels = labels;
    this.#scratch = new OffscreenCanvas(tile, tile).getContext('2d', { willReadFrequently: true })!;
  }

  draw(index: number, context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D): void {
    const { side } = this;
    const x = (index % this.#columns) * side;
    const y = Math.floor(index / this.#columns) * side;
    context.drawImage(this.#bitmap, x, y, side, side, 0, 0, side, side);
  }

  pixels(index: number): Pixels {
    const { side } = this;
    this.draw(index, this.#scratch);
    const { data: rgba } = this.#scratch.getImageData(0, 0, side, side);
    const data = new Uint8Array(side * side * 3);
    for (let pixel = 0; pixel < side * side; pixel++) {
      for (let channel = 0; channel < 3; channel++) data[pixel * 3 + channel] = rgba[pixel * 4 + channel]!;
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

/** Turns of the page's event loop are given up between chunks of this many pictures. */
const CHUNK = 50;

export async function openTestSheet(): Promise<Sheet> {
  const response = await fetch(sheetUrl);
  if (!response.ok) throw new Error(`${sheetUrl}: ${response.status} ${response.statusText}`);
  // The network learned from the numbers in the file: no colour management.
  const bitmap = await createImageBitmap(await response.blob(), { colorSpaceConversion: 'none' });
  return new Sheet(bitmap, sheetIndex);
}
