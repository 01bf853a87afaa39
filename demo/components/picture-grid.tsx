import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Sheet } from '../pictures/sheet.ts';
import { chooseTest, chosen } from '../state.ts';

const GAP = 4;
/** Rows drawn beyond the visible ones, so that slow scrolling meets no empty tile. */
const OVERSCAN = 2;

/**
 * Test pictures as tiles in a list box. Only tiles near the visible part exist, each a part of a row of the sheet (a canvas for each would
 * cost the page's thread ten times as much), so a thousand pictures cost no more than a screenful. One tab stop; arrow keys choose.
 */
export function PictureGrid({
  sheet,
  indices,
  label,
  tile = 56,
  marks,
}: {
  readonly sheet: Sheet;
  /** Pictures to show, in order, as indices into the sheet. */
  readonly indices: readonly number[];
  readonly label: string;
  /** Least width of a tile in CSS pixels; they grow to fill the line. */
  readonly tile?: number;
  /** A line under a tile, e.g. what two models said. */
  readonly marks?: ((index: number) => string) | undefined;
}) {
  const loaded = sheet.rows.value;
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [scroll, setScroll] = useState(0);
  const [active, setActive] = useState(0);

  useLayoutEffect(() => {
    const element = box.current!;
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);

  // Another list starts at its top; one that only grows (a run under way) stays where it is.
  const first = indices[0];
  useEffect(() => {
    setActive(0);
    box.current!.scrollTop = 0;
    setScroll(0);
  }, [first]);

  const columns = Math.max(1, Math.floor((size.width + GAP) / (tile + GAP)));
  // Whole pixels, so that no tile shows a line of its neighbour in the sheet; what is left over goes between them.
  const side = Math.floor((size.width - GAP * (columns - 1)) / columns);
  const left = (column: number) =>
    columns === 1 ? 0 : Math.round((column * (size.width - side)) / (columns - 1));
  const rowHeight = side + GAP + (marks ? 34 : 0);
  const rows = Math.ceil(indices.length / columns);
  const firstRow = Math.max(0, Math.floor(scroll / rowHeight) - OVERSCAN);
  const lastRow = size.width ? Math.min(rows, Math.ceil((scroll + size.height) / rowHeight) + OVERSCAN) : 0;
  const visible = Array.from(
    { length: Math.max(0, Math.min(indices.length, lastRow * columns) - firstRow * columns) },
    (_, position) => firstRow * columns + position,
  );

  function moveTo(position: number): void {
    const next = Math.min(Math.max(position, 0), indices.length - 1);
    setActive(next);
    const top = Math.floor(next / columns) * rowHeight;
    const element = box.current!;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + rowHeight - element.clientHeight;
    }
    setScroll(element.scrollTop);
    if (indices[next] !== undefined) void chooseTest(indices[next]);
  }

  function rowImage(index: number): string | undefined {
    const row = loaded[Math.floor(index / sheet.columns)];
    return row && `url(${row.url})`;
  }

  function onKeyDown(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(size.height / rowHeight)) * columns;
    const steps: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      PageUp: -page,
      PageDown: page,
      Home: -indices.length,
      End: indices.length,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      moveTo(active + step);
    } else if ((event.key === 'Enter' || event.key === ' ') && indices[active] !== undefined) {
      event.preventDefault();
      void chooseTest(indices[active]);
    }
  }

  const activeShown = visible.includes(active);
  return (
    <div
      ref={box}
      class="picture-grid"
      role="listbox"
      aria-label={label}
      aria-activedescendant={activeShown ? `${id}-${active}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onScroll={(event) => setScroll(event.currentTarget.scrollTop)}
    >
      {/* A list box must not be empty of options for assistive technology, nor show any when there is nothing. */}
      <div
        role="presentation"
        style={{
          position: 'relative',
          height: `${Math.max(0, rows * rowHeight - GAP)}px`,
          '--sheet-width': `${sheet.columns * side}px`,
        }}
      >
        {visible.map((position) => {
          const index = indices[position];
          const row = Math.floor(position / columns);
          const column = position % columns;
          const className = sheet.classes[sheet.labels[index]];
          return (
            <div
              key={index}
              id={`${id}-${position}`}
              role="option"
              class={position === active ? 'tile active' : 'tile'}
              aria-selected={chosen.value?.testIndex === index}
              aria-setsize={indices.length}
              aria-posinset={position + 1}
              aria-label={`${className}, test picture ${index + 1}${marks ? `, ${marks(index)}` : ''}`}
              title={`${className}, test picture ${index + 1}`}
              style={{
                width: `${side}px`,
                transform: `translate(${left(column)}px, ${row * rowHeight}px)`,
              }}
              onClick={() => {
                setActive(position);
                void chooseTest(index);
              }}
            >
              <span
                class="tile-picture"
                style={{
                  height: `${side}px`,
                  backgroundImage: rowImage(index),
                  backgroundPosition: `${-(index % sheet.columns) * side}px 0`,
                }}
              />
              {marks && <span class="tile-mark">{marks(index)}</span>}
            </div>
          );
        })}
      </div>
    </div>
  );
}
