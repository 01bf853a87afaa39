import type * as Plot from '@observablehq/plot';
import { useCallback } from 'preact/hooks';
import type { FloatWeights } from '../lab/protocol.ts';
import { Plotted } from './plotted.tsx';

const HEIGHT = 200;

/** A layer's float weights as a histogram, and the levels that symmetric quantization to `bits` bits rounds them to. */
export function LevelsPlot({ layer, bits }: { readonly layer: FloatWeights | null; readonly bits: number }) {
  const draw = useCallback(
    (plot: typeof Plot, width: number) => {
      const cell = layer ? (2 * layer.limit) / layer.counts.length : 1;
      const bars = Array.from(layer?.counts ?? [], (count, index) => ({
        low: -layer!.limit + index * cell,
        high: -layer!.limit + (index + 1) * cell,
        count,
      }));
      const most = 2 ** (bits - 1) - 1;
      const levels = Array.from(
        { length: 2 * most + 1 },
        (_, index) => ((index - most) / most) * (layer?.limit ?? 1),
      );
      return plot.plot({
        width,
        height: HEIGHT,
        // Room for half a number at each end of the axis.
        marginLeft: 6,
        marginRight: 6,
        marginTop: 8,
        marginBottom: 32,
        style: { fontFamily: 'inherit', fontSize: '12px', overflow: 'visible' },
        x: { label: null, ticks: 7, tickSize: 0, tickPadding: 8 },
        y: { type: 'sqrt', axis: null },
        marks: [
          plot.ruleX(levels, {
            stroke: 'var(--accent)',
            strokeWidth: 1,
            strokeOpacity: bits > 6 ? 0.35 : 0.8,
          }),
          plot.rectY(bars, {
            x1: 'low',
            x2: 'high',
            y: 'count',
            inset: 0,
            fill: 'var(--bar)',
            fillOpacity: 0.85,
          }),
          plot.ruleY([0], { stroke: 'var(--line-strong)' }),
        ],
      });
    },
    [layer, bits],
  );
  return (
    <Plotted
      label={`Histogram of the float weights of ${layer?.layer ?? 'a layer'}, with the levels of ${bits} bits as lines`}
      height={HEIGHT}
      draw={draw}
    />
  );
}
