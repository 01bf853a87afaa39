/** Parsers of option values, shared by commands. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { InvalidArgumentError, Option } from 'commander';
import { InputError } from '../errors.ts';
import type { InputShape, LoadOptions } from '../model/model.ts';
import { describeFileError } from '../platform/node/file-error.ts';
import { parseRecipe, type Recipe, type RecipeInput } from '../quantize/recipe.ts';

export const DEFAULT_CALIBRATION = 'models/cifar10/calibration-512.json';
export const DEFAULT_IMAGES = 'models/cifar10/test-1000.json';
export const DEFAULT_MODEL = 'models/vgg16-cifar10.onnx';
export const DEFAULT_INT8_MODEL = 'models/vgg16-cifar10.int8.onnx';

/** Defaults are files of a checkout. */
export function checkDefault(file: string, instead: string): void {
  if (existsSync(file)) return;
  throw new InputError(
    `name ${instead}: the default, ${file}, is in a checkout of Octet only, where "npm run model" makes it`,
  );
}

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a positive integer.');
  return value;
}

/** Positive integers, separated by commas. */
export const positiveIntegers = (text: string): number[] => text.split(',').map(positiveInteger);

/** A TCP port; 0 stands for any that is free. */
export function portNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new InvalidArgumentError('It must be an integer from 0 to 65535.');
  }
  return value;
}

/** A number, 0 or more. */
export function finiteNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('It must be a number, 0 or more.');
  }
  return value;
}

/** Percentage points, 0 or more. */
export function percentagePoints(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('It must be a number of percentage points, such as 0.5.');
  }
  return value;
}

/** Decibels, of any sign. */
export function decibelLimit(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new InvalidArgumentError('It must be a number of decibels, such as 20.');
  }
  return value;
}

/** How much is printed. */
export function verbosity(text: string): 0 | 1 | 2 {
  if (text === '0' || text === '1' || text === '2') return Number(text) as 0 | 1 | 2;
  throw new InvalidArgumentError('It must be 0, 1 or 2.');
}

/** Bytes, by themselves or in kB and MB (decimal). */
export function byteCount(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*(kB|MB)?$/i.exec(text.trim()) ?? [];
  const value = Math.floor(Number(number) * (unit === '' ? 1 : unit.toLowerCase() === 'kb' ? 1e3 : 1e6));
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError('It must be a number of bytes, such as 9MB or 300kB.');
  }
  return value;
}

/** Comma-separated numbers of bits, 2 to 8. */
export function bitList(text: string): number[] {
  const values = text.split(',').map(Number);
  if (!values.every((value) => Number.isInteger(value) && value >= 2 && value <= 8)) {
    throw new InvalidArgumentError('It must be a list of integers from 2 to 8, such as 8,4,2.');
  }
  return values;
}

export const backendOption = (): Option =>
  new Option('--backend <name>', 'what runs the int8 model')
    .choices(['auto', 'webgpu', 'wasm', 'reference'])
    .default('auto');

export const maxActivationBytesOption = (): Option =>
  new Option(
    '--max-activation-bytes <n>',
    'bytes that one picture may take at once (default: 512 MiB); raise it for models that you trust',
  ).argParser(positiveInteger);

/** `height=224,width=320` or `image=1x3x224x320`. */
function inputShape(text: string): InputShape {
  const entries = text.split(',').map((entry): [string, number | number[]] => {
    const [, name, sizes] = /^(.+)=(\d+(?:x\d+)*)$/.exec(entry) ?? [];
    const numbers = sizes?.split('x').map(Number) ?? [];
    if (numbers.length === 0 || !numbers.every((size) => Number.isSafeInteger(size) && size > 0)) {
      throw new InvalidArgumentError('It must be like height=224,width=320 or image=1x3x224x320.');
    }
    return [name, numbers.length === 1 ? numbers[0] : numbers];
  });
  return Object.fromEntries(entries);
}

export const inputShapeOption = (): Option =>
  new Option(
    '--input-shape <list>',
    'sizes that the model leaves open, by the name of a dimension or of an input: height=224,width=320 or image=1x3x224x320',
  ).argParser(inputShape);

/** The member of `LoadOptions` that `inputShapeOption` sets. */
export const inputSizes = ({
  inputShape,
}: Pick<LoadOptions, 'inputShape'>): Pick<LoadOptions, 'inputShape'> =>
  inputShape === undefined ? {} : { inputShape };

/** The member of `LoadOptions` that `maxActivationBytesOption` sets. */
export const activationLimit = ({
  maxActivationBytes,
}: Pick<LoadOptions, 'maxActivationBytes'>): Pick<LoadOptions, 'maxActivationBytes'> =>
  maxActivationBytes === undefined ? {} : { maxActivationBytes };

/**
 * Reads and checks a recipe file; without one, the defaults.
 *
 * @param defaults what holds where the file does not say otherwise
 */
export async function readRecipe(path: string | undefined, defaults: RecipeInput = {}): Promise<Recipe> {
  if (path === undefined) return parseRecipe(defaults);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new InputError(`cannot read the recipe ${path}: ${describeFileError(cause)}`, { cause });
  }
  const recipe = parseRecipe(text);
  if (Object.keys(defaults).length === 0) return recipe;
  return parseRecipe({ ...defaults, ...(JSON.parse(text) as RecipeInput) });
}
