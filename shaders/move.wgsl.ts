import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Grid, gridWgsl } from './grid.wgsl.ts';
import { storeWgsl } from './store.wgsl.ts';
import { unroll } from './unroll.ts';

/** What one input gives. */
export interface MovePart {
  /** Output channel at which it starts, and how many. */
  readonly firstChannel: number;
  readonly channels: number;
  /** Bytes of one image of the input, and words of the whole batch. */
  readonly inBytes: number;
  readonly inWords: number;
  /** Where its offsets begin: of rows, columns and channels, or (`elements`) of the box's elements. */
  readonly kind: 'axes' | 'elements';
  readonly rows: number;
  readonly columns: number;
  readonly lanes: number;
  /** Whole words of the output are whole words of the input. */
  readonly wholeWords: boolean;
  /** First word of its table, null without one. */
  readonly table: number | null;
}

export interface Move {
  readonly batch: number;
  /** Of the output. */
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly zeroPoint: number;
  readonly fill: number;
  /** The rows and columns that this dispatch writes. */
  readonly box: {
    readonly row: number;
    readonly column: number;
    readonly height: number;
    readonly width: number;
  };
  /** First word of a pixel that it writes, and how many. */
  readonly firstWord: number;
  readonly words: number;
  readonly parts: readonly MovePart[];
  /** Lengths of `offsets` and `tables`; no tables: 0. */
  readonly offsets: number;
  readonly tables: number;
}

/**
 * Elements in other places: each is a byte of an input's image, at the sum of an offset a row, a column and a channel (or at one offset an
 * element), perhaps mapped by a table of 256 entries; where the sum is negative it is the fill.
 *
 *   x0…      [batch][words of an image] u32 of four int8
 *   offsets  i32
 *   tables   [64] u32 of four int8 each
 *   y        [batch][H][W][OUT_WORDS] u32
 *
 * One invocation writes one word. Workgroup memory: none.
 */
export const moveWgsl = (move: Move, grid: Grid) => {
  const { batch, height, width, channels, zeroPoint, fill, box, firstWord, words, parts } = move;
  const outWords = Math.ceil(channels / 4);
  const last = parts.length + 1;
  const isWhole = parts.every(({ wholeWords }) => wholeWords);
  const offsetOf = ({ kind, rows, columns, lanes, channels: count }: MovePart) =>
    kind === 'axes'
      ? `offsets[${rows}u + h] + offsets[${columns}u + w] + offsets[${lanes}u + c]`
      : `offsets[${rows}u + (h * ${box.width}u + w) * ${count}u + c]`;
  return wgsl`
const OUT_WORDS = ${outWords}u;
${unroll(parts.length, (i) => `@group(0) @binding(${i}) var<storage, read> x${i}: array<u32, ${parts[i].inWords}>;`)}
@group(0) @binding(${parts.length}) var<storage, read> offsets: array<i32, ${move.offsets}>;
#if ${move.tables > 0}
@group(0) @binding(${last}) var<storage, read> tables: array<u32, ${move.tables}>;
@group(0) @binding(${last + 1}) var<storage, read_write> y: array<u32, ${batch * height * width * outWords}>;
#else
@group(0) @binding(${last}) var<storage, read_write> y: array<u32, ${batch * height * width * outWords}>;
#endif
${gridWgsl(grid)}
${storeWgsl(channels, zeroPoint)}

#if ${move.tables > 0}
fn entry(table: u32, value: i32) -> i32 {
  let at = u32(value + 128);
  return extractBits(bitcast<i32>(tables[table + at / 4u]), at % 4u * 8u, 8u);
}
#endif

#if ${isWhole}
fn valuesOf(n: u32, h: u32, w: u32, word: u32) -> vec4<i32> {
  var values = vec4<i32>(${fill});
${unroll(parts.length, (i) => {
  const { firstChannel, channels: count, inBytes, table } = parts[i];
  const mapped = ['x', 'y', 'z', 'w'].map((lane) => `entry(${String(table)}u, q.${lane})`).join(', ');
  return `  if (word >= ${firstChannel / 4}u && word < ${Math.ceil((firstChannel + count) / 4)}u) {
    let c = (word - ${firstChannel / 4}u) * 4u;
    let offset = ${offsetOf(parts[i])};
    if (offset >= 0) {
      let q = unpack4xI8(x${i}[(n * ${inBytes}u + u32(offset)) / 4u]);
      values = ${table === null ? 'q' : `vec4<i32>(${mapped})`};
    }
  }`;
})}
  return values;
}
#else
// The value of one output channel; whatever in a padded lane.
fn valueOf(n: u32, h: u32, w: u32, channel: u32) -> i32 {
  var value = ${fill};
${unroll(parts.length, (i) => {
  const { firstChannel, channels: count, inBytes, table } = parts[i];
  return `  if (channel >= ${firstChannel}u && channel < ${firstChannel + count}u) {
    let c = channel - ${firstChannel}u;
    let offset = ${offsetOf(parts[i])};
    if (offset >= 0) {
      let at = n * ${inBytes}u + u32(offset);
      let q = extractBits(bitcast<i32>(x${i}[at / 4u]), at % 4u * 8u, 8u);
      value = ${table === null ? 'q' : `entry(${table}u, q)`};
    }
  }`;
})}
  return value;
}

fn valuesOf(n: u32, h: u32, w: u32, word: u32) -> vec4<i32> {
  return vec4<i32>(
${unroll(4, (lane) => `    valueOf(n, h, w, word * 4u + ${lane}u)${lane < 3 ? ',' : ''}`)}
  );
}
#endif

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = invocationIndex(workgroup, local);
  if (index >= INVOCATIONS) {
    return;
  }
  let word = index % ${words}u + ${firstWord}u;
  let pixel = index / ${words}u;
  let w = pixel % ${box.width}u;
  let h = pixel / ${box.width}u % ${box.height}u;
  let n = pixel / ${box.width * box.height}u;
  let place = (n * ${height}u + h + ${box.row}u) * ${width}u + w + ${box.column}u;
  store(place * OUT_WORDS + word, valuesOf(n, h, w, word));
}
`;
};
