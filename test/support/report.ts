/**
 * The failure report of the byte-exact tests: what differs, where first, by how much, and the values around
 * it.
 */
import { type ProgramTensor, paddedChannels } from '../../src/program/program.ts';
import type { TensorBuffer } from '../../src/program/program.ts';

/** What was run, in the words of the report's first line. */
export interface ComparisonSubject {
  /** Operation kind or program name. */
  readonly kernel: string;
  /** Variant of the kernel, or the backend. */
  readonly variant: string;
  /** Case name or seed: enough to repeat it. */
  readonly seed: number | string;
}

/** Rows of the table. */
const ROWS = 16;

/**
 * Compares two buffers of one tensor with ===, padded lanes included.
 *
 * @returns undefined where all bytes are equal, else a report
 */
export function compareBuffers(
  subject: ComparisonSubject,
  tensor: ProgramTensor,
  batch: number,
  actual: TensorBuffer,
  expected: TensorBuffer,
): string | undefined {
  const head = `${subject.kernel} · ${subject.variant} · ${subject.seed} · tensor "${tensor.name}" [${batch}, ${tensor.image.join(', ')}] ${tensor.type}`;
  if (actual.constructor !== expected.constructor || actual.length !== expected.length) {
    return `${head}\n  expected ${expected.constructor.name}(${expected.length}), got ${actual.constructor.name}(${actual.length})`;
  }
  let first = -1;
  let differing = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] === expected[i]) continue;
    if (first < 0) first = i;
    differing++;
    largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
  }
  if (first < 0) return undefined;
  const start = Math.max(0, first - 4);
  const rows = [['(n, h, w, c)', 'actual', 'expected', '']];
  for (let i = start; i < Math.min(start + ROWS, expected.length); i++) {
    rows.push([position(tensor, i), `${actual[i]}`, `${expected[i]}`, actual[i] === expected[i] ? '' : '<']);
  }
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
  const table = rows.map((row) =>
    `    ${widths.map((w, i) => row[i].padStart(w)).join('  ')} ${row[3]}`.trimEnd(),
  );
  return [
    head,
    `  ${differing} of ${expected.length} differ, first at ${position(tensor, first)}, largest difference ${largest}`,
    ...table,
  ].join('\n');
}

/** (n, h, w, c) of an element, `pad` where it is a padded lane. */
function position(tensor: ProgramTensor, index: number): string {
  const [height, width, channels] = tensor.image;
  const stored = paddedChannels(channels);
  const c = index % stored;
  const pixel = Math.floor(index / stored);
  const row = Math.floor(pixel / width);
  return `(${Math.floor(row / height)}, ${row % height}, ${pixel % width}, ${c}${c >= channels ? ' pad' : ''})`;
}
