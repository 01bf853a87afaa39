import { useState } from 'preact/hooks';
import type { Tally } from '../test-run.ts';

/** Counts of true class (rows) against answer (columns). A grid: arrow keys move, Enter or a click shows the pictures of a cell. */
export function ConfusionMatrix({
  classes,
  confusion,
  selected,
  onSelect,
}: {
  readonly classes: readonly string[];
  readonly confusion: Tally['confusion'];
  readonly selected: number | null;
  readonly onSelect: (cell: number) => void;
}) {
  const size = classes.length;
  const [active, setActive] = useState(0);
  const [hovered, setHovered] = useState<number | null>(null);
  let mostRight = 1;
  let mostWrong = 1;
  confusion.forEach((count, cell) => {
    if (cell % (size + 1) === 0) mostRight = Math.max(mostRight, count);
    else mostWrong = Math.max(mostWrong, count);
  });
  const describe = (cell: number) => {
    const [row, column] = [Math.floor(cell / size), cell % size];
    const pictures = confusion[cell] === 1 ? '1 picture' : `${confusion[cell]} pictures`;
    return row === column
      ? `${classes[row]}: ${pictures} right`
      : `${classes[row]} taken for ${classes[column]}: ${pictures}`;
  };

  function onKeyDown(event: KeyboardEvent): void {
    const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -size, ArrowDown: size };
    const step = steps[event.key];
    if (step === undefined) return;
    const next = active + step;
    const sameRow = Math.floor(next / size) === Math.floor(active / size);
    if (next < 0 || next >= size * size || (Math.abs(step) === 1 && !sameRow)) return;
    event.preventDefault();
    setActive(next);
    (event.currentTarget as HTMLElement).querySelector<HTMLElement>(`[data-cell="${next}"]`)?.focus();
  }

  const shown = hovered ?? selected;
  return (
    <div class="confusion">
      <table role="grid" aria-label="Confusion matrix: true class by answer" onKeyDown={onKeyDown}>
        <thead>
          <tr>
            <td class="corner" aria-hidden="true" />
            {classes.map((name) => (
              <th key={name} scope="col">
                <span>{name}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {classes.map((name, row) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {classes.map((_, column) => {
                const cell = row * size + column;
                const count = confusion[cell];
                const share = Math.sqrt(count / (row === column ? mostRight : mostWrong));
                return (
                  <td
                    key={cell}
                    data-cell={cell}
                    tabIndex={cell === active ? 0 : -1}
                    aria-selected={cell === selected}
                    aria-label={describe(cell)}
                    class={row === column ? 'cell hit' : 'cell miss'}
                    style={{ '--share': share.toFixed(3) }}
                    onMouseEnter={() => setHovered(cell)}
                    onMouseLeave={() => setHovered(null)}
                    onFocus={() => setActive(cell)}
                    onClick={() => onSelect(cell)}
                    onKeyDown={(event) => {
                      if (event.key !== 'Enter' && event.key !== ' ') return;
                      event.preventDefault();
                      onSelect(cell);
                    }}
                  >
                    <span aria-hidden="true">{count || ''}</span>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="confusion-note muted" aria-hidden="true">
        {shown === null ? 'Rows: what it is. Columns: what the network says.' : describe(shown)}
      </p>
    </div>
  );
}
