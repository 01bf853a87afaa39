import type * as Plot from '@observablehq/plot';
import { useCallback } from 'preact/hooks';
import type { ChannelWeights } from '../lab/protocol.ts';
import { Plotted } from './plotted.tsx';

const HEIGHT = 200;

/** The float weights of one output channel as a histogram, and the levels that they were rounded to. */
export function LevelsPlot({
  weights,
  label,
}: {
  readonly weights: ChannelWeights | null;
  readonly label: string;
}) {
  const draw = useCallback(
    (plot: typeof Plot, width: number) => {
      const { counts, limit, scale, most } = weights ?? { counts: [], limit: 1, scale: 1, most: 0 };
      const cell = (2 * limit) / counts.length;
      const bars = Array.from(counts, (count, index) => ({
        low: -limit + index * cell,
        high: -limit + (index + 1) * cell,
        count,
      })).filter(({ count }) => count > 0);
      const levels = weights
        ? Array.from({ length: 2 * most + 1 }, (_, index) => (index - most) * scale)
        : [];
      return plot.plot({
        width,
        height: HEIGHT,
        // Room for half a number at each end of the axis.
        marginLeft: 10,
        marginRight: 10,
        marginTop: 8,
        marginBottom: 32,
        style: { fontFamily: 'inherit', fontSize: '12px', overflow: 'visible' },
        x: { label: null, ticks: width < 500 ? 5 : 7, tickSize: 0, tickPadding: 8, domain: [-limit, limit] },
        y: { type: 'sqrt', axis: null },
        marks: [
          plot.rectY(bars, { x1: 'low', x2: 'high', y: 'count', inset: 0, fill: 'var(--bar)' }),
          // In front of the bars, and thin where there are many.
          plot.ruleX(levels, {
            stroke: 'var(--accent)',
            strokeWidth: most > 31 ? 0.75 : most > 7 ? 1 : 1.5,
            strokeOpacity: most > 31 ? 0.45 : 0.9,
          }),
          plot.ruleY([0], { stroke: 'var(--line-strong)' }),
        ],
      });
    },
    [weights],
  );
  return <Plotted label={label} height={HEIGHT} draw={draw} />;
}
