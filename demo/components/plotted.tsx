import type * as Plot from '@observablehq/plot';
import { useEffect, useRef } from 'preact/hooks';
import { messageOf, notice } from '../state.ts';

type PlotModule = typeof Plot;

/** A chart by Observable Plot, which is fetched when the first one is shown. Its place is kept from the start. */
export function Plotted({
  label,
  height,
  draw,
}: {
  /** What the chart says, for screen readers. */
  readonly label: string;
  readonly height: number;
  /** Must be stable (useCallback) while its data is. */
  readonly draw: (plot: PlotModule, width: number) => Element;
}) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current!;
    let gone = false;
    let plot: PlotModule | null = null;
    let width = 0;
    const redraw = () => {
      if (gone || !plot || element.clientWidth === width) return;
      width = element.clientWidth;
      if (width > 0) element.replaceChildren(draw(plot, width));
    };
    const observer = new ResizeObserver(redraw);
    observer.observe(element);
    import('@observablehq/plot').then(
      (module) => {
        plot = module;
        redraw();
      },
      (error: unknown) => {
        if (!gone) notice.value = `The charts could not be loaded (${messageOf(error)}): reload the page.`;
      },
    );
    return () => {
      gone = true;
      observer.disconnect();
    };
  }, [draw]);
  return (
    <div class="plotted" role="img" aria-label={label} style={{ height: `${height}px` }}>
      <div ref={place} aria-hidden="true" />
    </div>
  );
}
