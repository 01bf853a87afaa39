/** Elements of a report. */

/** @param children strings become text, never markup: names are the file's */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function swatch(colour: string, text: string): HTMLElement {
  return element('span', { style: `--swatch: ${colour}` }, text);
}

export function pairs(rows: readonly (readonly [string, string])[]): HTMLElement {
  return element(
    'dl',
    {},
    ...rows.flatMap(([title, value]) => [element('dt', {}, title), element('dd', {}, value)]),
  );
}

export function select(title: string, options: readonly (readonly [value: string, text: string])[]) {
  const input = element('select', {}, ...options.map(([value, text]) => element('option', { value }, text)));
  return { input, label: element('label', {}, `${title} `, input) };
}

/** A column of a table: text, or numbers with their format. Undefined: the row has none. */
export interface Column<T> {
  readonly title: string;
  readonly of: (row: T) => string | number | undefined;
  readonly format?: (value: number) => string;
}

/**
 * A table that sorts by the column whose head is clicked, numbers from the largest.
 *
 * @param choose called with the position of a row in `rows`
 * @returns the element, and its rows in the order of `rows`
 */
export function sortableTable<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  choose: (index: number) => void,
): { readonly table: HTMLElement; readonly elements: readonly HTMLElement[] } {
  const body = element('tbody', {});
  const elements = rows.map((row, index) => {
    const cells = columns.map(({ of, format }) => {
      const value = of(row);
      const text = typeof value === 'number' ? format!(value) : (value ?? '');
      return element('td', format ? { class: 'number' } : {}, text);
    });
    const made = element('tr', {}, ...cells);
    made.addEventListener('click', () => choose(index));
    body.append(made);
    return made;
  });
  const heads = columns.map(({ title, of, format }) => {
    const button = element('button', { type: 'button' }, title);
    let descending = format === undefined;
    button.addEventListener('click', () => {
      descending = !descending;
      const order = [...rows.keys()].sort((a, b) => {
        const [x, y] = [of(rows[a]), of(rows[b])];
        if (x === undefined || y === undefined) return x === y ? 0 : x === undefined ? 1 : -1;
        const step = x < y ? -1 : x > y ? 1 : 0;
        return descending ? -step : step;
      });
      body.replaceChildren(...order.map((index) => elements[index]));
    });
    return element('th', { scope: 'col' }, button);
  });
  return {
    table: element('table', {}, element('thead', {}, element('tr', {}, ...heads)), body),
    elements,
  };
}
