/** Two backends on one input, tensor by tensor, with `===`: the int8 path has no tolerance. */
import { asyncOptions, check, options as optionsOf, withMethods } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { inputShapeSchema } from '../graph/passes/input-shape.ts';
import type {
  CompareBackendsOptions,
  Comparison,
  Model,
  RunInput,
  TensorComparison,
  TensorValues,
} from './model.ts';
import type { BackendName } from '../schedule/session.ts';

const compareOptions = optionsOf({ signal: asyncOptions.signal, inputShape: inputShapeSchema });

const model = withMethods('a Model, as loadModel gives it', 'values', 'run', 'dispose');

/**
 * Runs both models, which must be the same file lowered the same way, and compares every tensor.
 * @throws {InputError} the models have different tensors
 */
export async function compareBackends(
  actual: Model,
  expected: Model,
  inputs: Readonly<Record<string, RunInput>>,
  options: CompareBackendsOptions = {},
): Promise<Comparison> {
  check(
    'compareBackends',
    { actual: model, expected: model, options: compareOptions },
    { actual, expected, options },
  );
  // One after the other: both on the same cores would only wait for each other, and hold twice the memory.
  const actualTensors = await actual.values(inputs, options);
  const expectedTensors = await expected.values(inputs, options);
  return compareTensors(
    { backend: actual.backend, tensors: actualTensors },
    { backend: expected.backend, tensors: expectedTensors },
  );
}

/** What one backend computed. */
export interface BackendTensors {
  readonly backend: BackendName;
  readonly tensors: ReadonlyMap<string, TensorValues>;
}

export function compareTensors(actual: BackendTensors, expected: BackendTensors): Comparison {
  const comparisons: TensorComparison[] = [];
  let report: string | undefined;
  for (const [name, tensor] of actual.tensors) {
    const truth = expected.tensors.get(name);
    if (truth?.data.length !== tensor.data.length) {
      throw new InputError(
        `cannot compare: tensor "${name}" is ${describe(tensor)} on ${actual.backend} and ${describe(truth)} on ` +
          `${expected.backend}; load the same file with the same options on both`,
      );
    }
    const comparison = compareOne(tensor, truth);
    comparisons.push(comparison);
    if (comparison.firstDifference && report === undefined) {
      report = describeDifference(comparison, tensor, truth, actual.backend, expected.backend);
    }
  }
  const firstDiffering = comparisons.find(({ differing }) => differing > 0) ?? null;
  const elements = comparisons.reduce((sum, comparison) => sum + comparison.elements, 0);
  return {
    equal: firstDiffering === null,
    actual: actual.backend,
    expected: expected.backend,
    tensors: comparisons,
    firstDiffering,
    report:
      report ??
      `${actual.backend} equals ${expected.backend}: ${comparisons.length} tensors, ${elements.toLocaleString('en')} elements, none differs`,
  };
}

function compareOne(actual: TensorValues, expected: TensorValues): TensorComparison {
  let differing = 0;
  let largestDifference = 0;
  let first = -1;
  for (let i = 0; i < actual.data.length; i++) {
    const difference = Math.abs(actual.data[i] - expected.data[i]);
    if (difference === 0) continue;
    if (first < 0) first = i;
    differing++;
    if (difference > largestDifference) largestDifference = difference;
  }
  return {
    name: actual.name,
    shape: actual.shape,
    elements: actual.data.length,
    differing,
    largestDifference,
    firstDifference:
      first < 0
        ? null
        : {
            index: unravel(first, actual.shape),
            actual: actual.data[first],
            expected: expected.data[first],
          },
  };
}

function unravel(
  position: number,
  [, height, width, channels]: TensorValues['shape'],
): [number, number, number, number] {
  const pixel = Math.floor(position / channels);
  const row = Math.floor(pixel / width);
  return [Math.floor(row / height), row % height, pixel % width, position % channels];
}

function describe(tensor: TensorValues | undefined): string {
  return tensor ? `[${tensor.shape.join(', ')}]` : 'absent';
}

/** Channels shown to either side of the first difference. */
const context = 4;

function describeDifference(
  { name, shape, elements, differing, largestDifference, firstDifference }: TensorComparison,
  actual: TensorValues,
  expected: TensorValues,
  actualBackend: BackendName,
  expectedBackend: BackendName,
): string {
  const [n, h, w, c] = firstDifference!.index;
  const [, height, width, channels] = shape;
  const from = Math.max(0, c - context);
  const to = Math.min(channels, c + context + 1);
  const pixel = ((n * height + h) * width + w) * channels;
  const rows: [string, ...string[]][] = [['channel'], [actualBackend], [expectedBackend], ['']];
  for (let channel = from; channel < to; channel++) {
    const [a, e] = [actual.data[pixel + channel], expected.data[pixel + channel]];
    rows[0].push(`${channel}`);
    rows[1].push(`${a}`);
    rows[2].push(`${e}`);
    rows[3].push(a === e ? '' : '^');
  }
  const head = Math.max(...rows.map(([title]) => title.length));
  const cell = Math.max(...rows.flatMap(([, ...cells]) => cells.map(({ length }) => length)));
  const table = rows.map(([title, ...cells]) =>
    `    ${title.padEnd(head)}  ${cells.map((text) => text.padStart(cell)).join(' ')}`.trimEnd(),
  );
  return [
    `${actualBackend} differs from ${expectedBackend}, first in tensor "${name}" [${shape.join(', ')}]`,
    `  ${differing.toLocaleString('en')} of ${elements.toLocaleString('en')} elements differ, by at most ${largestDifference}`,
    `  first at (n ${n}, h ${h}, w ${w}, c ${c}): ${firstDifference!.actual}, expected ${firstDifference!.expected}`,
    ...table,
  ].join('\n');
}
