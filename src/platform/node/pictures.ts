/**
 * Picture files in Node: PNG and JPEG by WebAssembly builds of the decoders that browsers have as well, other formats by the optional
 * package `sharp`, whose native libraries are larger than all the rest.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { crc32 } from 'node:zlib';
import type sharp from 'sharp';
import { InputError } from '../../errors.ts';
import type { DecodedPixels } from '../platform.ts';

/** A picture in RGBA, row-major. */
interface Decoded {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

type Decoder = (bytes: Uint8Array) => Decoded;

/** Emscripten's module, as far as it is used: the package's types name a global that it does not declare. */
type JpegModule = (options: {
  readonly noInitialRun: true;
  instantiateWasm(
    imports: WebAssembly.Imports,
    hear: (instance: WebAssembly.Instance) => void,
  ): WebAssembly.Exports;
  printErr(line: string): void;
}) => Promise<{ decode(bytes: Uint8Array, upright: boolean): Decoded | null }>;

/** libjpeg's words for a file that it read something from all the same. */
const CUT_OFF = /premature end/i;
/** libjpeg's words for CMYK, as printers use it. */
const OTHER_COLOURS = 'Unsupported color conversion';

/** Bytes before the first chunk of a PNG file. */
const PNG_SIGNATURE = 8;

const { resolve } = createRequire(import.meta.url);
const compile = async (name: string) => WebAssembly.compile(await readFile(resolve(name)));

async function openJpeg(): Promise<Decoder> {
  const [{ default: instantiate }, compiled] = await Promise.all([
    import('@jsquash/jpeg/codec/dec/mozjpeg_dec.js') as Promise<{ default: JpegModule }>,
    compile('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'),
  ]);
  const said: string[] = [];
  const decoder = await instantiate({
    noInitialRun: true,
    instantiateWasm(imports, hear) {
      const instance = new WebAssembly.Instance(compiled, imports);
      hear(instance);
      return instance.exports;
    },
    printErr: (line) => said.push(line),
  });
  return (bytes) => {
    said.length = 0;
    try {
      const upright = true;
      const decoded = decoder.decode(bytes, upright);
      if (decoded && !said.some((line) => CUT_OFF.test(line))) return decoded;
    } catch (cause) {
      if (said.length === 0) throw cause;
    }
    throw new Error(said.join('; '));
  };
}

async function openPng(): Promise<Decoder> {
  const [{ initSync, decode }, compiled] = await Promise.all([
    import('@jsquash/png/codec/pkg/squoosh_png.js'),
    compile('@jsquash/png/codec/pkg/squoosh_png_bg.wasm'),
  ]);
  initSync(compiled);
  return (bytes) => {
    checkChunks(bytes);
    try {
      return decode(bytes);
    } catch (cause) {
      // Its own words are of Rust.
      throw new Error('its pixels cannot be decompressed', { cause });
    }
  };
}

/** The decoder computes no checksums, and gives other pixels where a byte is wrong. */
function checkChunks(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = PNG_SIGNATURE; at + 12 <= bytes.length;) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > bytes.length) return;
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw new Error(`the checksum of the part at byte ${at} is wrong`);
    }
    at = end + 4;
  }
}

const DECODERS: Readonly<Record<string, () => Promise<Decoder>>> = { PNG: openPng, JPEG: openJpeg };
const opened = new Map<string, Promise<Decoder>>();

/** @param format as `decodePicture` found it in the header */
export async function decodePixels(bytes: Uint8Array, format: string): Promise<DecodedPixels> {
  const open = DECODERS[format];
  if (!open) return decodeBySharp(bytes, format);
  const decoder = opened.get(format) ?? open();
  opened.set(format, decoder);
  try {
    const decode = await decoder;
    return flatten(decode(bytes));
  } catch (cause) {
    // What a decoder was in the middle of is lost with it; one that could not be opened is opened again.
    opened.delete(format);
    if (!(cause instanceof Error && cause.message.includes(OTHER_COLOURS))) throw cause;
    return decodeBySharp(bytes, 'CMYK JPEG');
  }
}

/** Transparency on black. */
function flatten({ width, height, data: rgba }: Decoded): DecodedPixels {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const alpha = rgba[from + 3];
    for (let channel = 0; channel < 3; channel++) {
      data[to++] = Math.floor((rgba[from + channel] * alpha) / 255);
    }
  }
  return { width, height, data };
}

async function decodeBySharp(bytes: Uint8Array, format: string): Promise<DecodedPixels> {
  const open = await importSharp(`decoding ${format}`);
  // Colour profiles are not applied: networks are trained on stored values.
  const { data, info } = await open(bytes, { failOn: 'error', ignoreIcc: true })
    .autoOrient()
    .toColourspace('srgb')
    .flatten({ background: '#000' })
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

/**
 * @param purpose what it is needed for, in messages
 * @throws {InputError} it is not installed
 */
export async function importSharp(purpose: string): Promise<typeof sharp> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new InputError(
      `${purpose} takes a package that is not installed: npm install sharp (Octet brings decoders for PNG and JPEG only)`,
      { cause },
    );
  }
}
