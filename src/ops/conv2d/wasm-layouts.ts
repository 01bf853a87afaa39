/** How weights lie in linear memory: what `pack` writes, the kernels named here read (src/wasm/assembly/). */
import type { Weights } from '../../program/weights.ts';
import { number, scratch } from '../wasm-call.ts';
import { PANEL, type ConvolutionShape } from './wasm-shape.ts';
import { elementLayout, inFields, type WeightLayout } from './weight-layout.ts';

/**
 * What a lane of the dot instruction multiplies: so many elements of such a type, in fields of 4 bits where it says so. `loadWeights` of
 * src/wasm/assembly/weights.ts reads each of them.
 */
export type PanelLane = '2xint8' | '2xint16' | '4xint8' | '2xint4' | '4xint4';

/** Bytes of int8 weights that a kernel loads as one vector. */
const VECTOR = 16;

/**
 * [panel of 8 output channels][segment][k / depth][8][depth], where `depth` products share a lane. Elements of a segment that no channel
 * of the group falls on are 0.
 */
export function panels(
  shape: ConvolutionShape,
  kernelWidth: number,
  groups: number,
  lane: PanelLane,
): WeightLayout {
  const { outChannels, segmentLength, segmentOffsets, rowSegments, channels, panelChannels } = shape;
  const depth = lane.startsWith('4') ? 4 : 2;
  const panelLength = segmentOffsets.length * segmentLength * PANEL;
  const groupOut = outChannels / groups;
  const layout = elementLayout(
    `panels-${depth}x${lane === '2xint16' ? 'int16' : 'int8'}`,
    lane === '2xint16' ? 'int16' : 'int8',
    ({ inChannels }) => ({
      length: shape.panels * panelLength,
      outChannel: (o) => Math.floor(o / PANEL) * panelLength + (o % PANEL) * depth,
      tap(tap) {
        if (!rowSegments) return tap * segmentLength * PANEL;
        const [segment, column] = [Math.floor(tap / kernelWidth), tap % kernelWidth];
        return (segment * segmentLength + column * channels) * PANEL;
      },
      lanes: depth,
      stride: depth * PANEL,
      firstChannel: (o) => Math.floor(o / groupOut) * inChannels - panelChannels[Math.floor(o / PANEL)],
    }),
  );
  if (lane.endsWith('int4')) return inFields(layout, 4, () => VECTOR);
  return groups > 1 || lane === '2xint16' ? layout : { ...layout, packing: panelPacking(channels, depth) };
}

/** `packPanels` of src/wasm/assembly/pack.ts. */
function panelPacking(channels: number, depth: number): NonNullable<WeightLayout['packing']> {
  return (weights) => {
    const { outChannels, taps, inChannels, k } = weights;
    const unitBytes = taps * channels * PANEL;
    return {
      export: 'packPanels',
      source: weights.rows(),
      rowBytes: k,
      unitRows: PANEL,
      unitBytes,
      bytes: Math.ceil(outChannels / PANEL) * unitBytes,
      args: [taps, inChannels, channels, depth].map(number),
      scratchBytes: 0,
    };
  };
}

/**
 * [phase][octet of channels][group of rows][column][8 channels][rows], read by depthwise.ts: `lane` says how many rows of the kernel share a lane, and
 * in which type. Phase p's kernel begins p rows further down. Rows beyond the kernel are 0.
 */
export function interleavedRows(
  [height, width]: readonly [number, number],
  lane: '2xint16' | '4xint8',
  phases: number,
): WeightLayout {
  const rows = lane === '2xint16' ? 2 : 4;
  const octetLength = rowGroups(height, rows, phases) * width * PANEL * rows;
  const parts = Array.from({ length: phases }, (_, phase) =>
    elementLayout('', lane === '2xint16' ? 'int16' : 'int8', ({ outChannels }) => ({
      length: Math.ceil(outChannels / PANEL) * octetLength,
      outChannel: (o) => Math.floor(o / PANEL) * octetLength + (o % PANEL) * rows,
      tap(tap) {
        const row = Math.floor(tap / width) + phase;
        return (Math.floor(row / rows) * width + (tap % width)) * PANEL * rows + (row % rows);
      },
      lanes: 1,
      stride: 0,
    })),
  );
  return {
    ...parts[0],
    name: `rows-${lane}-${phases}`,
    byteCount: (weights) => phases * parts[0].byteCount(weights),
    pack(weights) {
      const packed = new Uint8Array(phases * parts[0].byteCount(weights));
      for (const [phase, part] of parts.entries()) {
        const { buffer, byteLength } = part.pack(weights);
        packed.set(new Uint8Array(buffer), phase * byteLength);
      }
      return lane === '2xint16' ? new Int16Array(packed.buffer) : new Int8Array(packed.buffer);
    },
  };
}

/** Groups of `rows` rows that a kernel meets, wherever in its first group it begins. */
export function rowGroups(height: number, rows: number, phases: number): number {
  return Math.ceil((height + phases - 1) / rows);
}

/**
 * `U = G g Gᵀ` of every pair of channels, F(size×size, 3×3), as [place][panel][inChannels / 2][8 outputs][2] int16, read by
 * `winogradMultiply`. For 3×3 kernels without zero points whose input channels are a multiple of 8.
 */
export function transformed(panels: number, size: 2 | 4): WeightLayout {
  const places = (size + 2) * (size + 2);
  const elements = ({ inChannels }: Weights) => places * panels * PANEL * inChannels;
  return {
    name: `winograd-${size}`,
    centred: true,
    bits: 8,
    byteCount: (weights) => elements(weights) * 2,
    pack(weights) {
      const packed = new Int16Array(elements(weights));
      transform(weights, panels, size === 2 ? transform2 : transform4, size + 2, packed);
      return packed;
    },
    packing: (weights) => ({
      export: 'packWinograd',
      source: weights.rows(),
      rowBytes: weights.k,
      unitRows: PANEL,
      unitBytes: weights.inChannels * PANEL * 2,
      bytes: elements(weights) * 2,
      args: [weights.inChannels, panels * PANEL * weights.inChannels * 2, size].map(number).concat(scratch),
      scratchBytes: (9 + (size + 2) * 3) * 16,
    }),
  };
}

/** Rows of G, scaled to integers (src/wasm/assembly/winograd.ts), times three values. */
type Transform = (w0: number, w1: number, w2: number, to: Int16Array, at: number, step: number) => void;

/** G = [2 0 0; 1 1 1; 1 −1 1; 0 0 2]. */
const transform2: Transform = (w0, w1, w2, to, at, step) => {
  const outer = w0 + w2;
  to[at] = 2 * w0;
  to[at + step] = outer + w1;
  to[at + 2 * step] = outer - w1;
  to[at + 3 * step] = 2 * w2;
};

/** G = [6 0 0; −4 −4 −4; −4 4 −4; 1 2 4; 1 −2 4; 0 0 8]. */
const transform4: Transform = (w0, w1, w2, to, at, step) => {
  const outer = -4 * (w0 + w2);
  const far = w0 + 4 * w2;
  to[at] = 6 * w0;
  to[at + step] = outer - 4 * w1;
  to[at + 2 * step] = outer + 4 * w1;
  to[at + 3 * step] = far + 2 * w1;
  to[at + 4 * step] = far - 2 * w1;
  to[at + 5 * step] = 8 * w2;
};

function transform(
  weights: Weights,
  panels: number,
  rowsOf: Transform,
  size: number,
  packed: Int16Array,
): void {
  const values = weights.rows();
  const { outChannels, inChannels } = weights;
  const plane = panels * PANEL * inChannels;
  const half = new Int16Array(size * 3);
  // Neighbours in the packed weights one after the other: each place is far from the next, and 36 cache lines are enough.
  for (let panel = 0; panel < panels; panel++) {
    const last = Math.min((panel + 1) * PANEL, outChannels);
    for (let pair = 0; pair < inChannels; pair += 2) {
      for (let o = panel * PANEL; o < last; o++) {
        for (let c = pair; c < pair + 2; c++) {
          const from = o * 9 * inChannels + c;
          for (let j = 0; j < 3; j++) {
            const at = from + j * inChannels;
            rowsOf(values[at], values[at + 3 * inChannels], values[at + 6 * inChannels], half, j, 3);
          }
          let to = (panel * inChannels + pair) * PANEL + (o % PANEL) * 2 + (c & 1);
          for (let i = 0; i < 3 * size; i += 3, to += size * plane) {
            rowsOf(half[i], half[i + 1], half[i + 2], packed, to, plane);
          }
        }
      }
    }
  }
}
