import { readFileSync } from 'node:fs';
import { deflateSync, crc32 } from 'node:zlib';
import sharp from 'sharp';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { decodePicture } from '../../src/vision/decode.ts';
import { profiledPixels, profiledPngs } from '../support/profiled-png.ts';

const red = { r: 200, g: 30, b: 10 };
const plain = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: red } });

async function errorOf(bytes: Uint8Array, options = {}): Promise<InputError> {
  const error: unknown = await decodePicture(bytes, { name: 'cat.png', ...options }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  return error as InputError;
}

describe('decodePicture', () => {
  test('gives the very pixels of a PNG', async () => {
    const data = Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => i * 5);
    const png = await sharp(data, { raw: { width: 5, height: 3, channels: 3 } })
      .png()
      .toBuffer();
    expect(await decodePicture(png)).toEqual({ width: 5, height: 3, data });
  });

  test('does not apply colour profiles and gamma', async () => {
    for (const png of Object.values(await profiledPngs())) {
      expect(await decodePicture(png)).toEqual({ width: 16, height: 16, data: profiledPixels });
    }
  });

  test.each(['jpeg', 'webp', 'gif', 'avif'] as const)('decodes %s', async (format) => {
    const picture = await decodePicture(await plain(20, 10).toFormat(format).toBuffer());
    expect([picture.width, picture.height, picture.data.length]).toEqual([20, 10, 600]);
    expect(Math.abs(picture.data[0] - red.r)).toBeLessThan(12);
    expect(Math.abs(picture.data[2] - red.b)).toBeLessThan(12);
  });

  test('makes RGB of grey, palette, 16-bit and transparent pictures', async () => {
    const grey = await plain(4, 4).greyscale().png().toBuffer();
    const palette = await plain(4, 4).png({ palette: true }).toBuffer();
    const deep = await plain(4, 4).toColourspace('rgb16').png().toBuffer();
    for (const png of [grey, palette, deep]) {
      expect((await decodePicture(png)).data.length).toBe(4 * 4 * 3);
    }
    expect((await decodePicture(deep)).data[0]).toBe(200);
    const transparent = await sharp({
      create: { width: 2, height: 2, channels: 4, background: { r: 255, g: 255, b: 255, alpha: 0 } },
    })
      .png()
      .toBuffer();
    expect([...(await decodePicture(transparent)).data]).toEqual(new Array(12).fill(0));
  });

  test('gives the bytes of libvips, of every kind of PNG and JPEG, turned upright', async () => {
    const noise = Uint8Array.from({ length: 37 * 23 * 3 }, (_, i) => ((i * i) % 251) + (i % 5));
    const photo = (channels: 3 | 4) =>
      sharp(noise.subarray(0, 37 * 5 * channels), { raw: { width: 37, height: 5, channels } }).resize(37, 23);
    const files: Record<string, Buffer> = {};
    for (const chromaSubsampling of ['4:2:0', '4:4:4'])
      for (const progressive of [false, true])
        for (const quality of [20, 75, 98]) {
          const options = { chromaSubsampling, progressive, quality };
          files[Object.values(options).join()] = await photo(3).jpeg(options).toBuffer();
        }
    for (let orientation = 1; orientation <= 8; orientation++)
      files[`orientation ${orientation}`] = await photo(3).withMetadata({ orientation }).jpeg().toBuffer();
    files['grey JPEG'] = await photo(3).greyscale().jpeg().toBuffer();
    files['grey PNG'] = await photo(3).greyscale().png().toBuffer();
    files.alpha = await photo(4).png().toBuffer();
    for (const colours of [2, 4, 16, 256])
      for (const progressive of [false, true])
        files[`${colours} colours ${progressive}`] = await photo(3)
          .png({ palette: true, colours, progressive })
          .toBuffer();
    for (const [name, bytes] of Object.entries(files)) {
      const { data, info } = await sharp(bytes)
        .autoOrient()
        .toColourspace('srgb')
        .flatten({ background: '#000' })
        .raw()
        .toBuffer({ resolveWithObject: true });
      const expected = { width: info.width, height: info.height, data: new Uint8Array(data) };
      expect(await decodePicture(bytes), name).toEqual(expected);
    }
    expect(files['orientation 6']).not.toEqual(files['orientation 1']);
  });

  test('decodes CMYK, as printers write it', async () => {
    const { data } = await decodePicture(await plain(4, 4).toColourspace('cmyk').jpeg().toBuffer());
    expect(Math.abs(data[0] - red.r)).toBeLessThan(40);
  });

  describe('without sharp', () => {
    afterEach(() => {
      vi.doUnmock('sharp');
      vi.resetModules();
    });

    test('decodes PNG and JPEG, and says what the other formats take', async () => {
      const files = await Promise.all([
        plain(6, 4).png().toBuffer(),
        plain(6, 4).jpeg().toBuffer(),
        plain(6, 4).webp().toBuffer(),
        plain(6, 4).toColourspace('cmyk').jpeg().toBuffer(),
      ]);
      vi.resetModules();
      vi.doMock('sharp', () => {
        throw new Error('Cannot find package');
      });
      const fresh = await import('../../src/vision/decode.ts');
      const [png, jpeg, ...others] = await Promise.all(
        files.map((bytes) =>
          fresh.decodePicture(bytes, { name: 'cat' }).catch((error: unknown) => (error as Error).message),
        ),
      );
      expect(png).toMatchObject({ width: 6, height: 4 });
      expect(jpeg).toMatchObject({ width: 6, height: 4 });
      expect(others).toEqual(
        ['WebP', 'CMYK JPEG'].map(
          (format) =>
            `cat: decoding ${format} takes a package that is not installed: npm install sharp (Octet brings decoders for PNG and JPEG only)`,
        ),
      );
    });
  });

  test('names a text file, an empty file and noise for what they are', async () => {
    expect((await errorOf(new TextEncoder().encode('hello\nworld\n'))).message).toMatch(
      /cat\.png is a text file/,
    );
    expect((await errorOf(new Uint8Array())).message).toBe('cat.png is an empty file');
    expect((await errorOf(Uint8Array.of(0, 1, 2, 3, 255, 254))).message).toMatch(/not a picture/);
    expect(
      (await errorOf(readFileSync(new URL('../../models/cifar10/test-1000.json', import.meta.url)))).message,
    ).toMatch(/text file/);
  });

  test('refuses an ArrayBuffer, and says what to make of it', async () => {
    const buffer = new ArrayBuffer(8) as unknown as Uint8Array;
    expect((await errorOf(buffer)).message).toMatch(/^cat\.png is decoded from a Uint8Array: new Uint8Array/);
  });

  test('refuses a broken picture at every length, with nothing but an InputError', async () => {
    const png = await plain(40, 40).png().toBuffer();
    const jpeg = await plain(40, 40).jpeg().toBuffer();
    const webp = await plain(40, 40).webp().toBuffer();
    for (const bytes of [png, jpeg, webp]) {
      for (let share = 0; share < 0.9; share += 0.1) {
        await errorOf(bytes.subarray(0, Math.floor(bytes.length * share)));
      }
    }
  });

  test('refuses a PNG with a wrong byte in its pixels', async () => {
    const png = await plain(40, 40).png().toBuffer();
    const start = png.indexOf('IDAT') + 4;
    for (let at = start; at < start + png.readUInt32BE(start - 8); at += 3) {
      const damaged = Buffer.from(png);
      damaged[at] ^= 0x5a;
      expect((await errorOf(damaged)).message).toMatch(/^cat\.png is damaged or cut off: the checksum/);
    }
  });

  test('refuses 100 megapixels by the header, without decoding', async () => {
    const error = await errorOf(pngHeader(10_000, 10_000));
    expect(error.message).toBe(
      'cat.png has 10000×10000 pixels (100 megapixels), the limit is 50: scale it down first',
    );
    expect((await errorOf(await plain(30, 30).png().toBuffer(), { maxPixels: 899 })).message).toMatch(
      /scale it down/,
    );
  });
});

/** A PNG that claims a size and holds almost nothing. */
function pngHeader(width: number, height: number): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(100))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}
