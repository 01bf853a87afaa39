/** A folder of its own for a test file, with a small float model and labelled pictures. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll } from 'vitest';
import { encodeModel } from '../../src/onnx/encode.ts';
import { convNet } from '../support/onnx-models.ts';
import { createRandom } from '../support/random.ts';

export const CLASSES = 'airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck'.split(',');

/** Call at the top of a test file; paths are made inside the returned function, the folder before the first test. */
export function useWorkspace(): (...names: string[]) => string {
  const folder = mkdtempSync(join(tmpdir(), 'octet-cli-'));
  const path = (...names: string[]) => join(folder, ...names);

  beforeAll(async () => {
    const graph = convNet(5);
    const metadata = new Map([
      ['labels', CLASSES.join(',')],
      ['mean', '0.5,0.5,0.5'],
      ['std', '0.25,0.25,0.25'],
    ]);
    writeFileSync(path('float.onnx'), encodeModel({ ...graph, metadata }));
    const random = createRandom(7);
    for (const className of ['bird', 'cat']) {
      mkdirSync(path('pictures', className), { recursive: true });
      for (let i = 0; i < 4; i++) {
        const pixels = Uint8Array.from({ length: 12 * 12 * 3 }, () => random.int(0, 255));
        const png = await sharp(pixels, { raw: { width: 12, height: 12, channels: 3 } })
          .png()
          .toBuffer();
        writeFileSync(path('pictures', className, `${i}.png`), png);
      }
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return path;
}
