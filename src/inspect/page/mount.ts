/** The report as a page: the graph, the details of what was chosen in it, and a table of all nodes. Plain DOM: it is one script in a file. */
import type { ValueAccuracy } from '../accuracy.ts';
import type { Inspection, InspectedNode, InspectedOperation } from '../inspect.ts';
import { log } from '../../numerics/elementary.ts';
import { inBits, inBytes, inMilliseconds, integer, ownOperation } from '../text.ts';

/** What a report is made of. */
export interface ReportData {
  readonly inspection: Inspection;
  /** SVG of the graph of nodes, and of that of operations; null where the model cannot run. */
  readonly nodes: string;
  readonly operations: string | null;
}

type View = 'nodes' | 'operations';

/** One box of the graph: a node with the operation whose figures are its own, or an operation with the node it came from. */
interface Item {
  readonly title: string;
  readonly kind: string;
  readonly node: InspectedNode | undefined;
  readonly operation: InspectedOperation | undefined;
  readonly accuracy: ValueAccuracy | undefined;
}

/** What boxes can be coloured by; undefined: the box has no such figure. */
interface Scale {
  readonly title: string;
  readonly of: (item: Item) => number | undefined;
  readonly format: (value: number) => string;
  /** Whether small values are the remarkable ones. */
  readonly lowIsBad?: true;
  /** Whether steps are factors. */
  readonly logarithmic?: true;
}

const SCALES: Readonly<Record<string, Scale>> = {
  time: {
    title: 'time',
    of: ({ operation }) => operation && (operation.measuredMs ?? operation.expected.ms),
    format: inMilliseconds,
    logarithmic: true,
  },
  sqnr: {
    title: 'SQNR',
    of: ({ accuracy }) => accuracy?.sqnr,
    format: (value) => `${value.toFixed(1)} dB`,
    lowIsBad: true,
  },
  bytes: {
    title: 'bytes moved',
    of: ({ operation }) => operation?.bytes,
    format: inBytes,
    logarithmic: true,
  },
  macs: {
    title: 'multiply-adds',
    of: ({ operation }) => (operation && operation.macs > 0 ? operation.macs : undefined),
    format: (value) => value.toLocaleString('en'),
    logarithmic: true,
  },
  bits: {
    title: 'weight bits',
    of: ({ operation }) => operation?.weightBits ?? undefined,
    format: (value) => `${value} bits`,
    lowIsBad: true,
  },
};

/** Fills `root` with the report. What was there is replaced. */
export function mountReport(root: HTMLElement, data: ReportData): void {
  new Report(root, data);
}

class Report {
  readonly #data: ReportData;
  readonly #graph = element('div', { class: 'graph' });
  readonly #details = element('aside', { 'aria-live': 'polite' });
  readonly #legend = element('div', { class: 'legend' });
  readonly #rows = new Map<number, HTMLElement>();
  #view: View = 'nodes';
  #colour = 'stage';
  #items: readonly Item[] = [];

  constructor(root: HTMLElement, data: ReportData) {
    this.#data = data;
    root.classList.add('octet-report');
    const body = element('div', { class: 'body' }, this.#graph, this.#details);
    root.replaceChildren(this.#header(), this.#bar(), body, this.#table());
    this.#show('nodes');
    this.#explain();
  }

  #header(): HTMLElement {
    const { model, target, totals, batch, assumed, problems, memory, accuracy, octet } =
      this.#data.inspection;
    const figures: (readonly [string, string])[] = [
      ['nodes on the device', String(totals.nodes.device)],
      ['on the host', String(totals.nodes.host)],
      ['operations', String(this.#data.inspection.operations.length)],
      ['multiply-adds', totals.macs.toLocaleString('en')],
      ['weights and tables', inBytes(totals.constantBytes)],
      ['moved a run', inBytes(totals.bytes)],
      ...(memory ? [['activation memory', inBytes(memory.peakBytes)] as const] : []),
      totals.measuredMs === null
        ? ['expected time', inMilliseconds(totals.expectedMs)]
        : ['measured time', inMilliseconds(totals.measuredMs)],
      ...(accuracy && accuracy.agreement !== null
        ? [['same class as float', `${(100 * accuracy.agreement).toFixed(1)} %`] as const]
        : []),
    ];
    const lines = [
      `${target.title}, batch ${batch}; ${target.source} figures; Octet ${octet}`,
      ...(assumed ? ['Nothing is calibrated yet: scales and accumulator bounds are assumed.'] : []),
      ...problems.map(({ node, reason }) => `${node}: ${reason}`),
    ];
    return element(
      'header',
      {},
      element('h1', {}, model.name || 'model'),
      ...lines.map((line) => element('p', { class: 'quiet' }, line)),
      element(
        'div',
        { class: 'figures' },
        ...figures.map(([title, value]) =>
          element('div', {}, element('strong', {}, value), element('span', { class: 'quiet' }, title)),
        ),
      ),
    );
  }

  #bar(): HTMLElement {
    const { operations, inspection } = this.#data;
    const views = select('Show', [
      ['nodes', 'nodes of the file'],
      ...(operations === null ? [] : [['operations', 'operations that run'] as const]),
    ]);
    views.input.addEventListener('change', () => this.#show(views.input.value as View));
    const has = (scale: Scale) => this.#itemsOf('nodes').some((item) => scale.of(item) !== undefined);
    const colours = select('Colour by', [
      ['stage', 'where it runs'],
      ...Object.entries(SCALES).flatMap(([key, scale]) => (has(scale) ? [[key, scale.title] as const] : [])),
    ]);
    colours.input.addEventListener('change', () => {
      this.#colour = colours.input.value;
      this.#paint();
    });
    const zoom = element('input', { type: 'range', min: '20', max: '200', value: '100' });
    zoom.addEventListener('input', () => this.#zoom(Number(zoom.value)));
    this.#graph.setAttribute('aria-label', `Graph of ${inspection.model.name}`);
    return element(
      'div',
      { class: 'bar' },
      views.label,
      colours.label,
      element('label', {}, 'Zoom ', zoom),
      this.#legend,
    );
  }

  #itemsOf(view: View): readonly Item[] {
    const { inspection } = this.#data;
    const values = new Map(inspection.accuracy?.values.map((value) => [value.name, value]));
    if (view === 'nodes') {
      return inspection.nodes.map((node) => {
        const operation = ownOperation(inspection, node);
        const accuracy = values.get(node.value) ?? values.get(operation?.output.name ?? '');
        return { title: node.name, kind: node.op, node, operation, accuracy };
      });
    }
    const byName = new Map(inspection.nodes.map((node) => [node.name, node]));
    return inspection.operations.map((operation) => ({
      title: operation.name,
      kind: operation.kind,
      node: byName.get(operation.name),
      operation,
      accuracy: values.get(operation.output.name),
    }));
  }

  #show(view: View): void {
    this.#view = view;
    this.#items = this.#itemsOf(view);
    this.#graph.innerHTML = (view === 'nodes' ? this.#data.nodes : this.#data.operations) ?? '';
    this.#graph.querySelectorAll('title').forEach((title) => title.remove());
    this.#boxes().forEach((box, index) => {
      const item = this.#items[index];
      box.setAttribute('tabindex', '0');
      box.setAttribute('role', 'button');
      box.setAttribute('aria-label', `${item.kind} ${item.title}`);
      const choose = () => this.#choose(index);
      box.addEventListener('click', choose);
      box.addEventListener('keydown', (event) => {
        if (event.key === 'Enter') choose();
      });
    });
    this.#paint();
  }

  /** Of nodes or operations, in order: inputs are not among them. */
  #boxes(): SVGGElement[] {
    return this.#items.map((_, index) => this.#graph.querySelector<SVGGElement>(`#node-${index}`)!);
  }

  #zoom(percent: number): void {
    const svg = this.#graph.querySelector('svg');
    const width = svg?.viewBox.baseVal.width ?? 0;
    svg?.setAttribute('width', `${(width * percent) / 100}pt`);
    svg?.removeAttribute('height');
  }

  #paint(): void {
    const scale = SCALES[this.#colour];
    const boxes = this.#boxes();
    if (!scale) {
      for (const box of boxes) shapeOf(box).style.removeProperty('fill');
      const stages = ['device', 'host', 'none', 'refused'] as const;
      const { nodes } = this.#data.inspection.totals;
      const names = { device: 'device', host: 'host', none: 'no work', refused: 'refused' };
      this.#legend.replaceChildren(
        ...stages.filter((stage) => nodes[stage] > 0).map((stage) => swatch(`var(--${stage})`, names[stage])),
      );
      return;
    }
    const values = this.#items.map((item) => scale.of(item));
    const known = values.filter((value) => value !== undefined);
    const low = Math.min(...known);
    const high = Math.max(...known);
    const shade = (value: number) => {
      const at = scale.logarithmic
        ? log((value + 1e-9) / (low + 1e-9)) / log(high > low ? (high + 1e-9) / (low + 1e-9) : 2)
        : (value - low) / (high - low || 1);
      return heat(scale.lowIsBad ? 1 - at : at);
    };
    for (const [index, box] of boxes.entries()) {
      const value = values[index];
      shapeOf(box).style.setProperty('fill', value === undefined ? 'var(--none)' : shade(value));
    }
    this.#legend.replaceChildren(
      ...(known.length > 0
        ? [swatch(shade(low), scale.format(low)), swatch(shade(high), scale.format(high))]
        : []),
    );
  }

  #choose(index: number): void {
    const item = this.#items[index];
    for (const [at, box] of this.#boxes().entries()) box.classList.toggle('chosen', at === index);
    const row = item.node ? this.#data.inspection.nodes.indexOf(item.node) : -1;
    for (const [at, each] of this.#rows) each.classList.toggle('chosen', at === row);
    this.#details.replaceChildren(...detailsOf(item));
  }

  #explain(): void {
    const { accuracy } = this.#data.inspection;
    const worst = accuracy && [...accuracy.values].sort((a, b) => a.sqnr - b.sqnr).slice(0, 5);
    const slowest = [...this.#data.inspection.operations].sort((a, b) => timeOf(b) - timeOf(a)).slice(0, 5);
    this.#details.replaceChildren(
      element('p', { class: 'quiet' }, 'Choose a box or a row for its details.'),
      ...(slowest.length > 0
        ? [
            element('h3', {}, 'Takes longest'),
            pairs(slowest.map((each) => [each.name, inMilliseconds(timeOf(each))])),
          ]
        : []),
      ...(worst
        ? [
            element('h3', {}, `Loses most, on ${accuracy.pictures} pictures`),
            pairs(worst.map(({ name, sqnr }) => [name, `${sqnr.toFixed(1)} dB`])),
          ]
        : []),
    );
  }

  #table(): HTMLElement {
    const { inspection } = this.#data;
    const items = this.#itemsOf('nodes');
    const columns: readonly (readonly [
      title: string,
      of: (item: Item) => string | number | undefined,
      format?: (value: number) => string,
    ])[] = [
      ['node', ({ title }) => title],
      ['operator', ({ kind }) => kind],
      ['runs on', ({ node }) => node!.stage],
      ['multiply-adds', ({ node }) => node!.macs || undefined, integer],
      ['parameters', ({ node }) => node!.parameters || undefined, integer],
      ['weight bits', ({ operation }) => operation?.weightBits ?? undefined, String],
      ['moved', ({ operation }) => operation?.bytes, inBytes],
      ['time', ({ operation }) => operation && timeOf(operation), inMilliseconds],
      ...(inspection.accuracy
        ? ([
            ['SQNR dB', ({ accuracy }: Item) => accuracy?.sqnr, (value: number) => value.toFixed(1)],
          ] as const)
        : []),
      ['why', ({ node }) => node!.reason],
    ];
    const body = element('tbody', {});
    for (const [index, item] of items.entries()) {
      const cells = columns.map(([, of, format]) => {
        const value = of(item);
        return element(
          'td',
          format ? { class: 'number' } : {},
          typeof value === 'number' ? format!(value) : (value ?? ''),
        );
      });
      const row = element('tr', {}, ...cells);
      row.addEventListener('click', () => {
        if (this.#view !== 'nodes') this.#show('nodes');
        this.#choose(index);
        this.#boxes()[index].scrollIntoView({ block: 'center', inline: 'center' });
      });
      this.#rows.set(index, row);
      body.append(row);
    }
    const heads = columns.map(([title, of, format], column) => {
      const button = element('button', { type: 'button' }, title);
      let descending = format === undefined;
      button.addEventListener('click', () => {
        descending = !descending;
        const order = [...items.keys()].sort((a, b) => {
          const [x, y] = [of(items[a]), of(items[b])];
          if (x === undefined || y === undefined) return x === y ? 0 : x === undefined ? 1 : -1;
          const step = x < y ? -1 : x > y ? 1 : 0;
          return descending ? -step : step;
        });
        body.replaceChildren(...order.map((index) => this.#rows.get(index)!));
      });
      return element('th', { scope: 'col', 'data-column': String(column) }, button);
    });
    return element(
      'div',
      { class: 'table' },
      element('h2', {}, 'Nodes'),
      element('table', {}, element('thead', {}, element('tr', {}, ...heads)), body),
    );
  }
}

const timeOf = ({ measuredMs, expected }: InspectedOperation) => measuredMs ?? expected.ms;

function detailsOf({ title, kind, node, operation, accuracy }: Item): HTMLElement[] {
  const parts: HTMLElement[] = [element('h2', {}, title), element('p', { class: 'quiet' }, kind)];
  if (node) {
    parts.push(
      element('p', {}, node.reason),
      pairs([
        ['runs on', node.stage],
        ['output', node.shape.join('×')],
        ['multiply-adds', node.macs ? node.macs.toLocaleString('en') : '–'],
        ['parameters', node.parameters ? node.parameters.toLocaleString('en') : '–'],
        ['reads', node.reads.join(', ')],
      ]),
    );
  }
  if (operation) {
    const { output, expected, measuredMs } = operation;
    parts.push(
      element('h3', {}, `Operation ${operation.kind}`),
      pairs([
        ['kernel', operation.kernel ?? 'on the CPU'],
        ...(operation.candidates > 1 ? [['chosen of', String(operation.candidates)] as const] : []),
        ['dispatches', String(operation.dispatches)],
        ['multiply-adds', operation.macs.toLocaleString('en')],
        ['moves', inBytes(operation.bytes)],
        ['constants', inBytes(operation.constantBytes)],
        ...(operation.weightBits === null ? [] : [['weight bits', String(operation.weightBits)] as const]),
        ...(operation.accumulatorBound === null
          ? []
          : [
              [
                'accumulator',
                `at most ${operation.accumulatorBound.toLocaleString('en')} (${inBits(operation.accumulatorBound)} of 2^31)`,
              ] as const,
            ]),
        ['result', `${output.type}, scale ${output.scale.toPrecision(6)}, zero point ${output.zeroPoint}`],
        ['expected', `${inMilliseconds(expected.ms)}, waits for ${expected.limit}`],
        ...(measuredMs === null ? [] : [['measured', inMilliseconds(measuredMs)] as const]),
      ]),
    );
  }
  if (accuracy) {
    parts.push(
      element('h3', {}, 'Against the float model'),
      pairs([
        ['SQNR', `${accuracy.sqnr.toFixed(1)} dB`],
        ['cosine', accuracy.cosine.toFixed(6)],
        ['largest difference', accuracy.largestDifference.toPrecision(3)],
        ['clipped', `${(100 * accuracy.clippedShare).toFixed(2)} %`],
        [
          'worst channels',
          accuracy.worstChannels.map(({ channel, sqnr }) => `${channel} (${sqnr.toFixed(1)} dB)`).join(', '),
        ],
        [
          'worst pictures',
          accuracy.worstPictures.map(({ picture, sqnr }) => `${picture} (${sqnr.toFixed(1)} dB)`).join(', '),
        ],
      ]),
    );
    if (accuracy.levels) parts.push(element('h3', {}, 'Values by level'), histogramOf(accuracy.levels));
  }
  return parts;
}

/** Float values and integers over the levels, square roots of counts, with lines where int8 ends. */
function histogramOf({
  first,
  width,
  float,
  integer: integers,
}: NonNullable<ValueAccuracy['levels']>): HTMLElement {
  const most = Math.sqrt(Math.max(1, ...float, ...integers));
  const bars = (counts: readonly number[], name: string) =>
    counts
      .map((count, i) => {
        const height = (Math.sqrt(count) / most) * 96;
        return count > 0
          ? `<rect class="${name}" x="${i * 4}" y="${(100 - height).toFixed(1)}" width="4" height="${height.toFixed(1)}"/>`
          : '';
      })
      .join('');
  const x = (level: number) => ((level - first) / width) * 4;
  const lines = [-128, 128]
    .map((level) => `<line x1="${x(level)}" x2="${x(level)}" y1="0" y2="100"/>`)
    .join('');
  const box = element('div', {});
  box.innerHTML = `<svg class="histogram" viewBox="0 0 ${float.length * 4} 100" preserveAspectRatio="none" role="img" aria-label="Counts of float values and integers over the int8 levels">${bars(float, 'float')}${bars(integers, 'integer')}${lines}</svg>`;
  box.append(
    element(
      'div',
      { class: 'legend' },
      swatch('var(--float)', 'float, in steps of the scale'),
      swatch('var(--integer)', 'integers'),
    ),
  );
  return box;
}

/** From quiet to remarkable, readable in light and dark under the text's colour. */
function heat(at: number): string {
  return `color-mix(in oklab, var(--device), #e5484d ${Math.round(100 * Math.min(1, Math.max(0, at)))}%)`;
}

const shapeOf = (box: SVGGElement) => box.querySelector<SVGElement>('path, polygon')!;

function swatch(colour: string, text: string): HTMLElement {
  return element('span', { style: `--swatch: ${colour}` }, text);
}

function pairs(rows: readonly (readonly [string, string])[]): HTMLElement {
  return element(
    'dl',
    {},
    ...rows.flatMap(([title, value]) => [element('dt', {}, title), element('dd', {}, value)]),
  );
}

function select(title: string, options: readonly (readonly [value: string, text: string])[]) {
  const input = element('select', {}, ...options.map(([value, text]) => element('option', { value }, text)));
  return { input, label: element('label', {}, `${title} `, input) };
}

/** @param children strings become text, never markup: names are the file's */
function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
