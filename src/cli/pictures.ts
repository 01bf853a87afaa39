/** Pictures that a command is given: files, folders, contact sheets. Loaded one by one, when they are needed. */
import { createHash } from 'node:crypto';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { platform } from '#platform';
import { InputError } from '../errors.ts';
import { decodePicture } from '../vision/decode.ts';
import type { Picture } from '../vision/picture.ts';
import { resize } from '../vision/resize.ts';
import { readSheet } from '../vision/sheet.ts';
import { CIFAR10_CLASSES, readCifar10 } from './cifar10.ts';
import { DEFAULT_CALIBRATION, DEFAULT_IMAGES } from './options.ts';

export interface PictureItem {
  /** For messages and tables. */
  readonly name: string;
  /** Name of the true class, where the source knows it. */
  readonly className?: string;
  readonly load: () => Promise<Picture>;
  /** Files that it is read from. */
  readonly files: readonly string[];
}

export const SOURCES_HELP =
  'pictures: files or their addresses (https://…), folders (searched through; in a folder of class folders, these are the true classes), or a contact sheet’s .json';

const EXTENSIONS = new Set(['.png', '.jpg', '.jpeg', '.webp', '.gif', '.avif']);

/** Resolves what the user named, in order. Throws an InputError that names what is not there. */
export async function findPictures(sources: readonly string[]): Promise<PictureItem[]> {
  const found: PictureItem[] = [];
  for (const source of sources) {
    if (/^https?:/.test(source)) {
      // By what the address says: nothing is fetched before it is needed.
      if (new URL(source).pathname.endsWith('.json')) found.push(...(await findInSheet(source)));
      else found.push({ name: source, load: () => loadFile(source), files: [] });
      continue;
    }
    const stats = await stat(source).catch(() => undefined);
    if (!stats) {
      const isDefault = source === DEFAULT_CALIBRATION || source === DEFAULT_IMAGES;
      throw new InputError(
        isDefault
          ? `name pictures of your own: the default, ${source}, is in a checkout of Octet only`
          : `${source}: no such file or folder`,
      );
    }
    if (stats.isDirectory()) {
      found.push(...(await findInFolder(source)));
    } else if (extname(source).toLowerCase() === '.json') {
      found.push(...(await findInSheet(source)));
    } else {
      found.push({ name: source, load: () => loadFile(source), files: [source] });
    }
  }
  return found;
}

/** The 10,000 test images of CIFAR-10 from the cache. */
export async function findCifar10Test(): Promise<PictureItem[]> {
  const data = await readCifar10('test');
  return Array.from({ length: data.count }, (_, index) => ({
    name: `cifar10 test ${index}`,
    files: [],
    className: CIFAR10_CLASSES[data.label(index)],
    load: () => Promise.resolve({ width: 32, height: 32, data: data.pixels(index) }),
  }));
}

async function loadFile(path: string): Promise<Picture> {
  return decodePicture(await platform.readFile(path), { name: path });
}

async function findInFolder(folder: string): Promise<PictureItem[]> {
  const paths = await pathsIn(folder, [await realpath(folder)]);
  const items = paths
    .map((path): PictureItem => {
      const load = () => loadFile(path);
      const isInClassFolder = dirname(relative(folder, path)) !== '.';
      return {
        name: path,
        load,
        files: [path],
        ...(isInClassFolder && { className: basename(dirname(path)) }),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (items.length === 0) {
    throw new InputError(`${folder}: no picture in this folder (${[...EXTENSIONS].join(', ')})`);
  }
  return items;
}

/**
 * Picture files of a folder and of those in it. Data sets are often folders of links, to files and to folders.
 *
 * @param above real paths of the folder and of those around it, which a link may lead back to
 */
async function pathsIn(folder: string, above: readonly string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const target = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
    if (target?.isDirectory()) {
      const real = await realpath(path);
      if (!above.includes(real)) paths.push(...(await pathsIn(path, [...above, real])));
    } else if (target?.isFile() && EXTENSIONS.has(extname(path).toLowerCase())) {
      paths.push(path);
    }
  }
  return paths;
}

/** Networks halve their maps a few times: open sizes are multiples of this. */
const MULTIPLE = 32;

/**
 * A picture at the size of a model's input.
 *
 * @param size null where the model takes any: about the picture's own
 */
export function stretchTo(
  picture: Picture,
  { width, height }: { readonly width: number | null; readonly height: number | null },
): Picture {
  const multipleOf = (length: number) => Math.max(MULTIPLE, Math.round(length / MULTIPLE) * MULTIPLE);
  return resize(picture, width ?? multipleOf(picture.width), height ?? multipleOf(picture.height), {
    fit: 'stretch',
  });
}

/** The sheet's PNG lies beside its JSON, under the same name. */
async function findInSheet(path: string): Promise<PictureItem[]> {
  let index: unknown;
  try {
    index = JSON.parse(new TextDecoder().decode(await platform.readFile(path)));
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError(`${path} is not JSON`, { cause });
  }
  const pngPath = path.replace(/\.json$/i, '.png');
  const { pictures, labels, classes } = await readSheet(await platform.readFile(pngPath), index);
  return pictures.map((picture, position) => ({
    name: `${path} ${position}`,
    files: [path, pngPath],
    className: classes[labels[position]],
    load: () => Promise.resolve(picture),
  }));
}

/** SHA-256 of bytes, in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** SHA-256 of the pixels of all pictures, in order, sizes included. */
export async function hashPictures(items: readonly Pick<PictureItem, 'load'>[]): Promise<string> {
  const hash = createHash('sha256');
  for await (const { width, height, data } of loadPictures(items)) {
    hash.update(`${width} ${height} ${data.length} `).update(data);
  }
  return hash.digest('hex');
}

/** One after the other, so that a folder of any size fits in memory. */
export async function* loadPictures(items: readonly Pick<PictureItem, 'load'>[]): AsyncGenerator<Picture> {
  for (const item of items) yield await item.load();
}
