/** How weights lie in linear memory: what `pack` writes, the kernels named here read (src/wasm/assembly/). */
import type { Weights } from '../../program/weights.ts';
import { PANEL, type ConvolutionShape } from './wasm-shape.ts';
import { elementLayout, type WeightLayout } from './weight-layout.ts';

/** What a lane of the dot instruction multiplies: so many elements of such a type. `loadWeights` of src/wasm/assembly/weights.ts reads each of them. */
export type PanelLane = '2xint8' | '2xint16' | '4xint8';

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
  const depth = lane === '4xint8' ? 4 : 2;
  const panelLength = segmentOffsets.length * segmentLength * PANEL;
  const groupOut = outChannels / groups;
  return elementLayout(`panels-${lane}`, lane === '2xint16' ? 'int16' : 'int8', ({ inChannels }) => ({
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
  }));
}

/** [octet of channels][tap pair][8 channels][2 taps] int16, read by depthwise.ts. The second tap of an odd last pair is 0. */
export const DEPTHWISE: WeightLayout = elementLayout('depthwise', 'int16', ({ outChannels, taps }) => {
  const octetLength = Math.ceil(taps / 2) * 16;
  return {
    length: Math.ceil(outChannels / 8) * octetLength,
    outChannel: (o) => Math.floor(o / 8) * octetLength + (o % 8) * 2,
    tap: (tap) => (tap >> 1) * 16 + (tap & 1),
    lanes: 1,
    stride: 0,
  };
});

/** G, its rows scaled to integers (src/wasm/assembly/winograd.ts). */
export type WinogradTransform = readonly (readonly [number, number, number])[];

/**
 * `U = G g Gᵀ` of every pair of channels, as [place][panel][inChannels / 2][8 outputs][2] int16, read by `winogradMultiply`. For 3×3 kernels without
 * zero points whose input channels are a multiple of 8.
 */
export function transformed(panels: number, g: WinogradTransform): WeightLayout {
  const elements = ({ inChannels }: Weights) => g.length * g.length * panels * PANEL * inChannels;
  return {
    name: `winograd-${g.length - 2}`,
    centred: true,
    supports: (bits) => bits === 8,
    byteCount: (weights) => elements(weights) * 2,
    pack(weights) {
      const packed = new Int16Array(elements(weights));
      transform(weights, panels, g, packed);
      return packed;
    },
  };
}

function transform(weights: Weights, panels: number, g: WinogradTransform, packed: Int16Array): void {
  const values = weights.rows();
  const { outChannels, inChannels } = weights;
  const size = g.length;
  const rows = Int32Array.from(g.flat());
  const plane = panels * PANEL * inChannels;
  const half = new Int32Array(size * 3);
  // Neighbours in the packed weights one after the other: each place is far from the next, and 36 cache lines are enough.
  for (let panel = 0; panel < panels; panel++) {
    const last = Math.min((panel + 1) * PANEL, outChannels);
    for (let pair = 0; pair < inChannels; pair += 2) {
      for (let o = panel * PANEL; o < last; o++) {
        for (let c = pair; c < pair + 2; c++) {
          const from = o * 9 * inChannels + c;
          for (let j = 0; j < 3; j++) {
            const w0 = values[from + j * inChannels];
            const w1 = values[from + (3 + j) * inChannels];
            const w2 = values[from + (6 + j) * inChannels];
            for (let i = 0; i < size; i++) {
              half[i * 3 + j] = rows[i * 3] * w0 + rows[i * 3 + 1] * w1 + rows[i * 3 + 2] * w2;
            }
          }
          let to = (panel * inChannels + pair) * PANEL + (o % PANEL) * 2 + (c & 1);
          for (let i = 0; i < size; i++) {
            const h0 = half[i * 3];
            const h1 = half[i * 3 + 1];
            const h2 = half[i * 3 + 2];
            for (let j = 0; j < size; j++, to += plane) {
              packed[to] = h0 * rows[j * 3] + h1 * rows[j * 3 + 1] + h2 * rows[j * 3 + 2];
            }
          }
        }
      }
    }
  }
}
