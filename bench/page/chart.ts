/** Draws a result as SVG text. A page, since the plot library needs a DOM and the benchmark has a browser at hand. */
import * as Plot from '@observablehq/plot';
import type { BenchResult } from '../result.ts';
import type { KernelResult } from '../kernel-result.ts';

const OCTET = '#0b6bcb';
const PEER = '#9aa3ad';

function serialize(plot: Element): string {
  const svg = plot.tagName === 'svg' ? plot : plot.querySelector('svg')!;
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return svg.outerHTML;
}

/** Latency of one image at `batch`, a bar a contender, on a logarithmic axis. */
function latencyChart({ results }: BenchResult, batch: number): string {
  const rows = results.flatMap(({ contender, batches }) => {
    const measured = batches?.find((candidate) => candidate.batch === batch);
    return measured
      ? [{ label: contender.label, library: contender.library, ms: measured.latencyMs.median / batch }]
      : [];
  });
  const smallest = Math.min(...rows.map(({ ms }) => ms));
  return serialize(
    Plot.plot({
      width: 860,
      marginLeft: 250,
      marginRight: 70,
      style: { background: 'white', color: '#1d232a', fontFamily: 'system-ui, sans-serif', fontSize: '12px' },
      x: { type: 'log', grid: true, label: `milliseconds an image, batch ${batch} (median; logarithmic)` },
      y: { label: null },
      marks: [
        Plot.barX(rows, {
          x1: smallest / 2,
          x2: 'ms',
          y: 'label',
          fill: (row: { library: string }) => (row.library === 'octet' ? OCTET : PEER),
          sort: { y: 'x2' },
        }),
        Plot.text(rows, {
          x: 'ms',
          y: 'label',
          text: (row: { ms: number }) => (row.ms >= 100 ? row.ms.toFixed(0) : row.ms.toPrecision(3)),
          dx: 5,
          textAnchor: 'start',
        }),
      ],
    }),
  );
}

/** Roofline: arithmetic intensity against speed, one dot a measured variant, one line a family's measured peak. */
function rooflineChart({ rows, peaks }: KernelResult): string {
  const peakRows = Object.entries(peaks).map(([family, gmacs]) => ({ family, gmacs }));
  return serialize(
    Plot.plot({
      width: 860,
      height: 460,
      marginLeft: 60,
      style: { background: 'white', color: '#1d232a', fontFamily: 'system-ui, sans-serif', fontSize: '12px' },
      x: { type: 'log', grid: true, label: 'multiply-adds a byte moved (log)' },
      y: { type: 'log', grid: true, label: 'GMAC/s (log)' },
      color: { legend: false, scheme: 'Observable10', domain: Object.keys(peaks) },
      marks: [
        Plot.ruleY(peakRows, { y: 'gmacs', stroke: 'family', strokeDasharray: '4 3' }),
        Plot.text(peakRows, {
          y: 'gmacs',
          frameAnchor: 'left',
          text: (row: { family: string }) => `${row.family} register peak`,
          dy: -7,
          dx: 4,
          textAnchor: 'start',
          fill: 'family',
        }),
        Plot.dot(rows, {
          x: 'intensity',
          y: 'gmacs',
          stroke: 'family',
          fill: 'family',
          fillOpacity: 0.35,
          r: 4,
        }),
      ],
    }),
  );
}

declare global {
  // A declaration of a global needs var.

  var chartPage: ChartPage;
}

export interface ChartPage {
  latencyChart(result: BenchResult, batch: number): string;
  rooflineChart(result: KernelResult): string;
}

globalThis.chartPage = { latencyChart, rooflineChart };
