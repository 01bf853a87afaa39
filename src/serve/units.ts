/**
 * One picture's worth of work: what servers queue, batches are made of and processes are sent. A request of several pictures is as many
 * units.
 */
import { decodePicture } from '../vision/decode.ts';
import type { Picture } from '../vision/picture.ts';
import { InputError, ModelError, OctetError } from '../errors.ts';
import type { Model, RunInput } from '../model/model.ts';
import { picturePixels } from '../model/pictures.ts';
import type { OutputValues } from '../program/input.ts';
import type { TensorBuffer } from '../program/program.ts';

/** Values of one input for one picture: real [C, H, W], quantized [C, H, W], or pixels [H, W, C]. */
export type UnitInput = (
  | { readonly kind: 'real'; readonly data: Float32Array }
  | { readonly kind: 'quantized'; readonly data: Int8Array }
  | { readonly kind: 'pixels'; readonly data: Uint8Array }
) & {
  /** Sizes of the picture, in the order of `data`. */
  readonly shape: readonly number[];
};

export type Unit =
  | { readonly kind: 'inputs'; readonly inputs: Readonly<Record<string, UnitInput>> }
  /** A picture file (PNG, JPEG, …), for a model with one input that takes pictures. */
  | { readonly kind: 'file'; readonly bytes: Uint8Array; readonly name?: string }
  | { readonly kind: 'picture'; readonly picture: Picture };

/** One output for one picture. */
export interface UnitOutput {
  readonly name: string;
  /** Without the batch. */
  readonly shape: readonly number[];
  /** In the type that the file declares, row-major. */
  readonly data: OutputValues['data'];
  /** `OutputTensor.integers` of this picture. */
  readonly integers: TensorBuffer;
}

/** What became of a unit. An error is the unit's own: its neighbours have their outputs. */
export type UnitResult =
  | { readonly outputs: readonly UnitOutput[] }
  /** An `OctetError` in plain data. */
  | { readonly error: string };

export interface UnitLimits {
  /** Largest width × height of a picture file. */
  readonly maxPixels?: number;
}

/** Picture files that are decoded at once: each may take three bytes a pixel. */
const DECODERS = 4;

type UnitInputs = Readonly<Record<string, UnitInput>>;

/**
 * Runs units as few batches: one, where all bring their inputs the same way and in the same sizes. Results are in the units' order.
 *
 * @throws {DeviceError} a batch fails for what is no fault of its own; what is, an impossible size or a picture that cannot be decoded, is the
 * error of its units
 */
export async function runUnits(
  model: Model,
  units: readonly Unit[],
  { signal, maxPixels }: UnitLimits & { readonly signal?: AbortSignal } = {},
): Promise<UnitResult[]> {
  const results = new Array<UnitResult>(units.length);
  const groups = new Map<string, { readonly index: number; readonly inputs: UnitInputs }[]>();
  const prepare = async (unit: Unit, index: number): Promise<void> => {
    try {
      const inputs = unit.kind === 'inputs' ? unit.inputs : await pixelsOf(model, unit, maxPixels);
      const kind = kindsOf(inputs, model.program === null);
      const group = groups.get(kind);
      if (group) group.push({ index, inputs });
      else groups.set(kind, [{ index, inputs }]);
    } catch (error) {
      if (!(error instanceof OctetError)) throw error;
      results[index] = { error: error.message };
    }
  };
  for (let start = 0; start < units.length; start += DECODERS) {
    signal?.throwIfAborted();
    const some = units.slice(start, start + DECODERS);
    await Promise.all(some.map((unit, offset) => prepare(unit, start + offset)));
  }
  for (const group of groups.values()) {
    const inputs = joinInputs(
      model,
      group.map((unit) => unit.inputs),
    );
    try {
      const { outputs } = await model.run(inputs, { integers: true, ...(signal && { signal }) });
      for (const [position, { index }] of group.entries()) {
        results[index] = {
          outputs: model.outputs.map(({ name }): UnitOutput => {
            const {
              data,
              integers,
              shape: [, ...shape],
            } = outputs[name];
            const length = data.length / group.length;
            const [from, to] = [position * length, (position + 1) * length];
            return { name, shape, data: data.subarray(from, to), integers: integers!.subarray(from, to) };
          }),
        };
      }
    } catch (error) {
      if (!(error instanceof InputError || error instanceof ModelError)) throw error;
      for (const { index } of group) results[index] = { error: error.message };
    }
  }
  return results;
}

/** A picture at the network's size, or its own where that is open: what it was decoded to, many times as large, is free again. */
async function pixelsOf(
  model: Model,
  unit: Exclude<Unit, { kind: 'inputs' }>,
  maxPixels: number | undefined,
): Promise<UnitInputs> {
  const [{ name, ...input }] = model.inputs;
  const picture = unit.kind === 'picture' ? unit.picture : await decode(unit, maxPixels);
  const { height, width, channels } = input;
  const shape = [height ?? picture.height, width ?? picture.width, channels ?? 3] as const;
  return Object.fromEntries([[name, { kind: 'pixels', shape, data: picturePixels(picture, ...shape) }]]);
}

function decode(
  { bytes, name }: Extract<Unit, { kind: 'file' }>,
  maxPixels: number | undefined,
): Promise<Picture> {
  return decodePicture(bytes, {
    ...(name !== undefined && { name }),
    ...(maxPixels !== undefined && { maxPixels }),
  });
}

/** Units of the same kinds, and of the same sizes, can be one batch. */
function kindsOf(inputs: UnitInputs, isOpen: boolean): string {
  const kinds = Object.entries(inputs).map(([name, { kind, shape }]) =>
    JSON.stringify([name, kind, ...(isOpen ? shape : [])]),
  );
  return kinds.sort().join();
}

function joinInputs(model: Model, units: readonly UnitInputs[]): Record<string, RunInput> {
  // Not assigned one by one: an input may be called `__proto__`.
  return Object.fromEntries(
    model.inputs.map(({ name }) => [
      name,
      joinInput(
        units.map((inputs) => inputs[name]),
        model.program === null,
      ),
    ]),
  );
}

/** @param isOpen whether the model has to be told the sizes */
function joinInput(parts: readonly UnitInput[], isOpen: boolean): RunInput {
  const [{ kind, data, shape }] = parts;
  const length = parts.length * data.length;
  if (kind === 'pixels') {
    const [height, width] = shape;
    return { pixels: fill(new Uint8Array(length), parts), ...(isOpen && { height, width }) };
  }
  const values = fill(kind === 'quantized' ? new Int8Array(length) : new Float32Array(length), parts);
  return isOpen ? { data: values, shape: [parts.length, ...shape] } : values;
}

function fill<T extends Float32Array | Int8Array | Uint8Array>(whole: T, parts: readonly UnitInput[]): T {
  for (const [index, { data }] of parts.entries()) whole.set(data, index * data.length);
  return whole;
}
