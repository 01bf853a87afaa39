import type { WeightBits, Weights, WeightShape } from '../../program/weights.ts';
import type { WasmPacking } from '../wasm-kernel.ts';

export type PackedWeights = Int8Array | Int16Array | Int32Array;

/**
 * One way in which kernels find the weights of a layer in memory. A layout owns both sides of it, packing and loading: what the host writes
 * here, kernels read by the layout's own text (webgpu-layouts.ts) or by the load functions that it names (wasm-layouts.ts).
 */
export interface WeightLayout {
  /** Equal names mean equal bytes for the same weights. */
  readonly name: string;
  /** Whether the weights' zero points are subtracted already; if not, the kernel corrects for them. */
  readonly centred: boolean;
  /** Bits of a stored weight. Kernels multiply by `2^(8 − bits)` times the weight (stored-bits.ts). */
  readonly bits: WeightBits;
  byteCount(weights: Weights): number;
  pack(weights: Weights): PackedWeights;
  /** Packs these weights on the threads of the WebAssembly backend; undefined where no kernel does. */
  packing?(weights: Weights): WasmPacking | undefined;
}

/**
 * Where each weight lies: at the sum of three offsets, of its output channel, its tap and its input channel. Input channel c is at
 * `⌊c / lanes⌋ · stride + c mod lanes`.
 */
export interface Placement {
  /** Elements of the packed weights. Those that no weight falls on are 0. */
  readonly length: number;
  outChannel(o: number): number;
  tap(tap: number): number;
  /** Input channels that lie side by side. */
  readonly lanes: number;
  /** Elements from one run of lanes to the next. */
  readonly stride: number;
  /** Number of an output channel's first input channel, where groups share a block of memory; else 0. */
  firstChannel?(o: number): number;
}

const ELEMENTS = { int8: Int8Array, int16: Int16Array, int32: Int32Array } as const;

/** A layout that stores every weight as one element: int8 as it is, wider ones less its zero point. */
export function elementLayout(
  name: string,
  element: keyof typeof ELEMENTS,
  placementOf: (weights: Weights) => Placement,
): WeightLayout {
  const Elements = ELEMENTS[element];
  return {
    name,
    centred: element !== 'int8',
    bits: 8,
    byteCount: (weights) => placementOf(weights).length * Elements.BYTES_PER_ELEMENT,
    pack(weights) {
      const placement = placementOf(weights);
      const packed = new Elements(placement.length);
      place(weights, placement, packed);
      return packed;
    },
  };
}

/**
 * A layout of int8 with `8 / bits` rows in the place of one: the weight of row r is a field of its byte, `bits · (r mod (8 / bits))` above the lowest bit.
 * Kernels bring the field to the top of the byte and clear the others.
 */
export function inFields(
  layout: WeightLayout,
  bits: 4 | 2,
  rowBytes: (weights: WeightShape) => number,
): WeightLayout {
  const perByte = 8 / bits;
  const byteCount = (weights: Weights) => {
    const row = rowBytes(weights);
    return Math.ceil(layout.byteCount(weights) / (row * perByte)) * row;
  };
  return {
    ...layout,
    name: `${layout.name}-${bits}bit`,
    bits,
    byteCount,
    pack(weights) {
      const row = rowBytes(weights);
      const wide = layout.pack(weights);
      const packed = new Int8Array(byteCount(weights));
      const mask = (1 << bits) - 1;
      for (let from = 0, r = 0; from < wide.length; r++) {
        const shift = bits * (r % perByte);
        let to = Math.floor(r / perByte) * row;
        for (const end = Math.min(from + row, wide.length); from < end; from++, to++) {
          packed[to] |= (wide[from] & mask) << shift;
        }
      }
      return packed;
    },
  };
}

/** Output and input channels whose weights are copied together: on the sides where they are not neighbours, they stay within a few cache lines. */
const OUT_BLOCK = 16;
const IN_BLOCK = 64;

function place(weights: Weights, placement: Placement, packed: PackedWeights): void {
  const rows = weights.rows();
  const { outChannels, inChannels, k, zeroPoint } = weights;
  const { lanes, stride } = placement;
  const words = packed instanceof Int8Array ? wordsOf(rows, packed, lanes) : undefined;
  const taps = Int32Array.from({ length: weights.taps }, (_, tap) => placement.tap(tap));
  for (let block = 0; block < outChannels; block += OUT_BLOCK) {
    const outEnd = Math.min(block + OUT_BLOCK, outChannels);
    for (let tap = 0; tap < taps.length; tap++) {
      for (let start = 0; start < inChannels; start += IN_BLOCK) {
        const count = Math.min(IN_BLOCK, inChannels - start);
        for (let o = block; o < outEnd; o++) {
          const channel = (placement.firstChannel?.(o) ?? 0) + start;
          const lane = channel % lanes;
          const to = placement.outChannel(o) + taps[tap] + Math.floor(channel / lanes) * stride;
          const from = o * k + tap * inChannels + start;
          if (words && lane === 0 && count % lanes === 0 && (from | to | stride) % lanes === 0) {
            copyWords(words.rows, from / lanes, count / lanes, words.packed, to / lanes, stride / lanes);
          } else if (packed instanceof Int8Array) {
            copyBytes(rows, from, count, packed, to, lane, lanes, stride);
          } else {
            copyCentred(rows, from, count, zeroPoint ? zeroPoint[o] : 0, packed, to, lane, lanes, stride);
          }
        }
      }
    }
  }
}

/** Rows and packed weights by runs of lanes, where such a run is a word of 2 or 4 bytes. */
function wordsOf(
  rows: Int8Array,
  packed: Int8Array,
  lanes: number,
): { readonly rows: Int16Array | Int32Array; readonly packed: Int16Array | Int32Array } | undefined {
  const Words = lanes === 2 ? Int16Array : lanes === 4 ? Int32Array : undefined;
  if (!Words || rows.byteOffset % lanes !== 0) return undefined;
  const viewOf = (bytes: Int8Array) =>
    new Words(bytes.buffer as ArrayBuffer, bytes.byteOffset, Math.floor(bytes.length / lanes));
  return { rows: viewOf(rows), packed: viewOf(packed) };
}

function copyWords(
  rows: Int16Array | Int32Array,
  from: number,
  count: number,
  packed: Int16Array | Int32Array,
  to: number,
  stride: number,
): void {
  for (const end = from + count; from < end; from++, to += stride) packed[to] = rows[from];
}

/** Apart from the copy for wider elements, since engines make better code of a loop that only ever stores bytes. */
function copyBytes(
  rows: Int8Array,
  from: number,
  count: number,
  packed: Int8Array,
  to: number,
  lane: number,
  lanes: number,
  stride: number,
): void {
  for (const end = from + count; from < end; from++) {
    packed[to + lane] = rows[from];
    if (++lane === lanes) {
      lane = 0;
      to += stride;
    }
  }
}

function copyCentred(
  rows: Int8Array,
  from: number,
  count: number,
  zeroPoint: number,
  packed: Int16Array | Int32Array,
  to: number,
  lane: number,
  lanes: number,
  stride: number,
): void {
  for (const end = from + count; from < end; from++) {
    packed[to + lane] = rows[from] - zeroPoint;
    if (++lane === lanes) {
      lane = 0;
      to += stride;
    }
  }
}
