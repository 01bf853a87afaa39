import type { WeightBits, Weights } from '../../program/weights.ts';

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
  supports(bits: WeightBits): boolean;
  byteCount(weights: Weights): number;
  pack(weights: Weights): PackedWeights;
}

/** Where each weight lies: at the sum of three offsets, of its output channel, its tap and its input channel. */
export interface Placement {
  /** Elements of the packed weights. Those that no weight falls on are 0. */
  readonly length: number;
  outChannel(o: number): number;
  tap(tap: number): number;
  /** Input channels are counted from the first one of the group, or as `firstChannel` says. */
  channel(c: number): number;
  /** Number of an output channel's first input channel, where groups share a block of memory; else 0. */
  firstChannel?(o: number): number;
  /** One past the largest number of an input channel. */
  readonly channels: number;
}

const ELEMENTS = { int8: Int8Array, int16: Int16Array, int32: Int32Array } as const;

/** A layout that stores every weight of eight bits as one element. */
export function elementLayout(
  name: string,
  element: keyof typeof ELEMENTS,
  { centred }: Pick<WeightLayout, 'centred'>,
  placementOf: (weights: Weights) => Placement,
): WeightLayout {
  const Elements = ELEMENTS[element];
  return {
    name,
    centred,
    supports: (bits) => bits === 8,
    byteCount: (weights) => placementOf(weights).length * Elements.BYTES_PER_ELEMENT,
    pack(weights) {
      const placement = placementOf(weights);
      const packed = new Elements(placement.length);
      place(weights, placement, centred ? weights.zeroPoint : undefined, packed);
      return packed;
    },
  };
}

function place(
  weights: Weights,
  placement: Placement,
  zeroPoint: Int8Array | undefined,
  packed: PackedWeights,
): void {
  const rows = weights.rows();
  const { outChannels, inChannels } = weights;
  const taps = Int32Array.from({ length: weights.taps }, (_, tap) => placement.tap(tap));
  const channels = Int32Array.from({ length: placement.channels }, (_, c) => placement.channel(c));
  let from = 0;
  for (let o = 0; o < outChannels; o++) {
    const start = placement.outChannel(o);
    const first = placement.firstChannel?.(o) ?? 0;
    const z = zeroPoint ? zeroPoint[o] : 0;
    for (let tap = 0; tap < taps.length; tap++) {
      const at = start + taps[tap];
      for (let c = first; c < first + inChannels; c++) packed[at + channels[c]] = rows[from++] - z;
    }
  }
}
