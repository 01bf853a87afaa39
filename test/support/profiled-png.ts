/** PNG files of the same stored values that ask for another colour space: by an embedded ICC profile, by a gamma. */
import { crc32 } from 'node:zlib';
import sharp from 'sharp';

/** RGB of 16×16 pixels. */
export const profiledPixels = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => (i * 37) % 256);

/** Bytes of the signature and of IHDR, behind which both chunks may stand. */
const HEADER_LENGTH = 33;

export async function profiledPngs(): Promise<Readonly<Record<'displayP3' | 'linear', Uint8Array>>> {
  const source = sharp(profiledPixels, { raw: { width: 16, height: 16, channels: 3 } });
  const plain = await source.clone().png().toBuffer();
  const converted = await source.clone().withIccProfile('p3').png().toBuffer();
  const start = converted.indexOf('iCCP') - 4;
  const profile = converted.subarray(start, start + 12 + converted.readUInt32BE(start));
  const insert = (chunk: Uint8Array) =>
    new Uint8Array(Buffer.concat([plain.subarray(0, HEADER_LENGTH), chunk, plain.subarray(HEADER_LENGTH)]));
  return { displayP3: insert(profile), linear: insert(gammaChunk(1)) };
}

function gammaChunk(gamma: number): Uint8Array {
  const body = Buffer.from('gAMA\0\0\0\0', 'latin1');
  body.writeUInt32BE(gamma * 100_000, 4);
  const chunk = Buffer.alloc(16);
  chunk.writeUInt32BE(4, 0);
  chunk.set(body, 4);
  chunk.writeUInt32BE(crc32(body), 12);
  return chunk;
}
