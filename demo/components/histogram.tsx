import type * as Plot from '@observablehq/plot';
import { useCallback } from 'preact/hooks';
import type { IntegerHistogram } from '../engine/protocol.ts';
import { Plotted } from './plotted.tsx';

const HEIGHT = 132;

/** Counts of integers. Each bar is one quantization level; the ticks below mark the levels that occur. */
export function Histogram({
  histogram,
  highlight,
  toReal,
  label,
}: {
  readonly histogram: IntegerHistogram | null;
  /** A part of `histogram`, drawn in front. */
  readonly highlight?: IntegerHistogram | null;
  /** The real number an integer stands for, where one scale serves all; else the axis shows integers. */
  readonly toReal: ((q: number) => number) | null;
  readonly label: string;
}) {
  const draw = useCallback(
    (plot: typeof Plot, width: number) => {
      const place = toReal ?? ((q: number) => q);
      const bars = (source: IntegerHistogram) =>
        Array.from(source.counts, (count, index) => ({
          low: place(source.min + index - 0.5),
          high: place(source.min + index + 0.5),
          middle: place(source.min + index),
          count,
        })).filter(({ count }) => count > 0);
      const all = histogram ? bars(histogram) : [];
      return plot.plot({
        width,
        height: HEIGHT,
        // Room for half a number at each end of the axis.
        marginLeft: 6,
        marginRight: 6,
        marginTop: 6,
        marginBottom: 26,
        style: { fontFamily: 'inherit', fontSize: '12px', overflow: 'visible' },
        x: { label: null, ticks: 5, tickSize: 0, tickPadding: 10 },
        // Post-ReLU zeros are most of all values: the square root keeps the others visible.
        y: { type: 'sqrt', axis: null },
        marks: [
          plot.rectY(all, { x1: 'low', x2: 'high', y: 'count', inset: 0, fill: 'var(--bar)' }),
          plot.rectY(highlight ? bars(highlight) : [], {
            x1: 'low',
            x2: 'high',
            y: 'count',
            inset: 0,
            fill: 'var(--accent)',
          }),
          plot.ruleY([0], { stroke: 'var(--line-strong)' }),
          plot.ruleX(all, {
            x: 'middle',
            y1: 0,
            y2: 0,
            stroke: 'var(--ink-2)',
            strokeOpacity: 0.6,
            insetBottom: -6,
          }),
        ],
      });
    },
    [histogram, highlight, toReal],
  );
  return <Plotted label={label} height={HEIGHT} draw={draw} />;
}
