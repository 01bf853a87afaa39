/** The report as a page: the graph, the details of what was chosen in it, and tables. Plain DOM: it is one script in a file. */
import { log } from '../../numerics/elementary.ts';
import { rankLayers, type RankedLayer, recipeText, worthChanging } from '../advice.ts';
import { figureText, figureTitles, type LayerDiff, type LayerFigures } from '../diff.ts';
import type { Inspection } from '../inspect.ts';
import type { Effect } from '../sensitivity.ts';
import { inAnswers, inBytes, inCosts, inMilliseconds, inParts, integer, LEAST_MS } from '../text.ts';
import {
  blockItems,
  figureOf,
  type Item,
  nodeItems,
  operationItems,
  type ReportData,
  type Scale,
  SCALES,
  timeOf,
} from './data.ts';
import { Details } from './details.ts';
import { type Column, element, pairs, select, sortableTable, swatch } from './dom.ts';

/** A graph on show: all nodes, all operations, blocks, or the inside of the block of that number. */
type View = 'nodes' | 'operations' | 'blocks' | number;

/** Nodes from which on the picture begins with blocks. */
const MANY_NODES = 120;

/** Fills `root` with the report. What was there is replaced. */
export function mountReport(root: HTMLElement, data: ReportData): void {
  new Report(root, data);
}

class Report {
  readonly #data: ReportData;
  readonly #details: Details;
  readonly #nodes: readonly Item[];
  readonly #graph = element('div', { class: 'graph' });
  readonly #aside = element('aside', { 'aria-live': 'polite' });
  readonly #legend = element('div', { class: 'legend' });
  readonly #views: ReturnType<typeof select>;
  #rows: readonly HTMLElement[] = [];
  #view: View = 'nodes';
  #colour = 'stage';
  #items: readonly Item[] = [];

  constructor(root: HTMLElement, data: ReportData) {
    this.#data = data;
    this.#details = new Details(data);
    this.#nodes = nodeItems(data);
    const { operations, blocks, inspection } = data;
    this.#views = select('Show', [
      ['nodes', 'nodes of the file'],
      ...(blocks ? [['blocks', 'blocks of nodes'] as const] : []),
      ...(operations === null ? [] : [['operations', 'operations that run'] as const]),
    ]);
    root.classList.add('octet-report');
    root.replaceChildren(
      this.#header(),
      this.#bar(),
      element('div', { class: 'body' }, this.#graph, this.#aside),
      ...this.#changes(),
      ...this.#sensitivity(),
      this.#table(),
    );
    this.#show(blocks && inspection.nodes.length > MANY_NODES ? 'blocks' : 'nodes');
    this.#explain();
  }

  #header(): HTMLElement {
    const { inspection, diff } = this.#data;
    const { model, target, batch, assumed, problems, octet } = inspection;
    const other = new Map(diff && figuresOf(diff.before));
    const lines = [
      `${target.title}, batch ${batch}; ${target.source} figures; Octet ${octet}`,
      ...(diff ? ['Figures of the model before, then of this one.'] : []),
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
        ...figuresOf(inspection).map(([title, value]) => {
          const before = other.get(title);
          const text = before === undefined || before === value ? value : `${before} → ${value}`;
          return element('div', {}, element('strong', {}, text), element('span', { class: 'quiet' }, title));
        }),
      ),
    );
  }

  #bar(): HTMLElement {
    this.#views.input.addEventListener('change', () => this.#show(this.#views.input.value as View));
    const has = (scale: Scale) => this.#nodes.some((item) => scale.of(item) !== undefined);
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
    this.#graph.setAttribute('aria-label', `Graph of ${this.#data.inspection.model.name}`);
    return element(
      'div',
      { class: 'bar' },
      this.#views.label,
      colours.label,
      element('label', {}, 'Zoom ', zoom),
      this.#legend,
    );
  }

  #show(view: View): void {
    const { nodes, operations, blocks } = this.#data;
    this.#view = view;
    if (view === 'nodes' || typeof view === 'number') this.#items = this.#nodes;
    else this.#items = view === 'blocks' ? blockItems(this.#data, this.#nodes) : operationItems(this.#data);
    const pictures = { nodes, operations, blocks: blocks?.picture };
    this.#graph.innerHTML = (typeof view === 'number' ? blocks?.inside[view] : pictures[view]) ?? '';
    if (typeof view === 'number') {
      const back = element('button', { type: 'button', class: 'back' }, '← All blocks');
      back.addEventListener('click', () => this.#show('blocks'));
      this.#graph.prepend(back);
    } else {
      this.#views.input.value = view;
    }
    this.#graph.querySelectorAll('title').forEach((title) => title.remove());
    for (const [index, box] of this.#boxes()) {
      const item = this.#items[index];
      box.setAttribute('tabindex', '0');
      box.setAttribute('role', 'button');
      box.setAttribute('aria-label', `${item.kind} ${item.title}`);
      const choose = () => this.#choose(index);
      box.addEventListener('click', choose);
      box.addEventListener('keydown', (event) => {
        if (event.key === 'Enter') choose();
      });
    }
    this.#paint();
  }

  /** The boxes on show by the index of their item: inputs are not among them. */
  #boxes(): (readonly [index: number, box: SVGGElement])[] {
    return this.#items.flatMap((_, index) => {
      const box = this.#graph.querySelector<SVGGElement>(`#node-${index}`);
      return box ? [[index, box] as const] : [];
    });
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
      for (const [, box] of boxes) shapeOf(box).style.removeProperty('fill');
      const stages = ['device', 'host', 'none', 'refused'] as const;
      const { nodes } = this.#data.inspection.totals;
      const names = { device: 'device', host: 'host', none: 'no work', refused: 'refused' };
      this.#legend.replaceChildren(
        ...stages.filter((stage) => nodes[stage] > 0).map((stage) => swatch(`var(--${stage})`, names[stage])),
      );
      return;
    }
    const values = new Map(boxes.map(([index]) => [index, figureOf(scale, this.#items[index])]));
    const known = [...values.values()].filter((value) => value !== undefined);
    const low = Math.min(...known);
    const high = Math.max(...known);
    const shade = (value: number) => {
      const at = scale.logarithmic
        ? log((value + 1e-9) / (low + 1e-9)) / log(high > low ? (high + 1e-9) / (low + 1e-9) : 2)
        : (value - low) / (high - low || 1);
      return heat(scale.lowIsBad ? 1 - at : at);
    };
    for (const [index, box] of boxes) {
      const value = values.get(index);
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
    for (const [at, box] of this.#boxes()) box.classList.toggle('chosen', at === index);
    const row = item.node ? this.#data.inspection.nodes.indexOf(item.node) : -1;
    for (const [at, each] of this.#rows.entries()) each.classList.toggle('chosen', at === row);
    this.#aside.replaceChildren(...this.#details.of(item, () => this.#show(index)));
  }

  /** Shows a node wherever it was named. */
  #goTo(index: number): void {
    if (index < 0) return;
    if (this.#view !== 'nodes') this.#show('nodes');
    this.#choose(index);
    this.#graph.querySelector(`#node-${index}`)?.scrollIntoView({ block: 'center', inline: 'center' });
  }

  #explain(): void {
    const { accuracy, operations } = this.#data.inspection;
    const worst = accuracy && [...accuracy.values].sort((a, b) => a.sqnr - b.sqnr).slice(0, 5);
    const slowest = [...operations].sort((a, b) => timeOf(b) - timeOf(a)).slice(0, 5);
    this.#aside.replaceChildren(
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

  /** What the other model has otherwise. */
  #changes(): HTMLElement[] {
    const { diff } = this.#data;
    if (!diff) return [];
    const changed = diff.layers.filter(({ differs }) => differs.length > 0);
    const keys = (Object.keys(figureTitles) as (keyof LayerFigures)[]).filter((key) =>
      changed.some(({ differs }) => differs.includes(key)),
    );
    const columns: Column<LayerDiff>[] = [
      { title: 'layer', of: ({ name }) => name },
      { title: 'operator', of: ({ op }) => op },
      ...keys.map((key): Column<LayerDiff> => ({
        title: figureTitles[key],
        of({ before, after, differs }) {
          if (!before) return `new: ${figureText(key, after)}`;
          if (!after) return `gone: ${figureText(key, before)}`;
          const now = figureText(key, after);
          return differs.includes(key) ? `${figureText(key, before)} → ${now}` : now;
        },
      })),
    ];
    const names = new Map(this.#nodes.map(({ title }, index) => [title, index]));
    const { table } = sortableTable(columns, changed, (row) =>
      this.#goTo(names.get(changed[row].name) ?? -1),
    );
    const same = diff.layers.length - changed.length;
    return [
      element(
        'section',
        { class: 'table' },
        element('h2', {}, 'What changed'),
        element(
          'p',
          { class: 'quiet' },
          changed.length === 0
            ? 'Nothing: every layer is the same.'
            : `${changed.length} of ${diff.layers.length} layers, ${same} are the same.`,
        ),
        ...(changed.length > 0 ? [table] : []),
      ),
    ];
  }

  /** Which layer to change, and what it costs. */
  #sensitivity(): HTMLElement[] {
    const { inspection } = this.#data;
    if (!inspection.sensitivity) return [];
    const { pictures, all, weights, activations } = inspection.sensitivity;
    const ranked = rankLayers(inspection);
    const names = new Map(this.#nodes.map(({ title }, index) => [title, index]));
    const flips = ({ otherAnswers }: Effect) => otherAnswers?.length;
    const columns: Column<RankedLayer>[] = [
      { title: 'rank', of: (layer) => ranked.indexOf(layer) + 1, format: String },
      { title: 'layer', of: ({ name }) => name },
      { title: 'what is rounded', of: inParts },
      { title: 'part of the noise', of: ({ share }) => share, format: inPercent },
      { title: 'alone', of: ({ isolated }) => isolated.sqnr, format: inDecibels },
      { title: 'flips', of: ({ isolated }) => flips(isolated), format: String },
      { title: 'up to it', of: ({ cumulative }) => cumulative.sqnr, format: inDecibels },
      { title: 'flips', of: ({ cumulative }) => flips(cumulative), format: String },
      { title: 'instead', of: inCosts },
    ];
    const { table } = sortableTable(columns, ranked, (row) => this.#goTo(names.get(ranked[row].node) ?? -1));
    const effect = (title: string, each: Effect) =>
      [title, [inDecibels(each.sqnr), inAnswers(each, pictures)].filter(Boolean).join(', ')] as const;
    const chosen = worthChanging(ranked);
    return [
      element(
        'section',
        { class: 'table' },
        element('h2', {}, 'Which layer to change'),
        element(
          'p',
          { class: 'quiet' },
          `What rounding does to the outputs on ${pictures} pictures: of each layer alone, and of all of its kind up to it.`,
        ),
        pairs([
          effect('all rounded', all),
          effect('weights alone', weights),
          effect('activations alone', activations),
        ]),
        ...advice(chosen),
        table,
      ),
    ];
  }

  #table(): HTMLElement {
    const { accuracy } = this.#data.inspection;
    const columns: readonly Column<Item>[] = [
      { title: 'node', of: ({ title }) => title },
      { title: 'operator', of: ({ kind }) => kind },
      { title: 'runs on', of: ({ node }) => node!.stage },
      { title: 'multiply-adds', of: ({ node }) => node!.macs || undefined, format: integer },
      { title: 'parameters', of: ({ node }) => node!.parameters || undefined, format: integer },
      { title: 'weight bits', of: ({ operation }) => operation?.weightBits ?? undefined, format: String },
      { title: 'moved', of: ({ operation }) => operation?.bytes, format: inBytes },
      { title: 'time', of: ({ operation }) => operation && timeOf(operation), format: inMilliseconds },
      ...(accuracy ? [{ title: 'SQNR', of: (item: Item) => item.accuracy?.sqnr, format: inDecibels }] : []),
      { title: 'why', of: ({ node }) => node!.reason },
    ];
    const { table, elements } = sortableTable(columns, this.#nodes, (index) => this.#goTo(index));
    this.#rows = elements;
    return element('section', { class: 'table' }, element('h2', {}, 'Nodes'), table);
  }
}

const inPercent = (share: number) => `${(100 * share).toFixed(1)} %`;
const inDecibels = (value: number) => `${value.toFixed(1)} dB`;

/** Entries of a recipe, to copy. */
function advice(chosen: readonly RankedLayer[]): HTMLElement[] {
  if (chosen.length === 0) {
    return [
      element(
        'p',
        {},
        'No bits of single layers would help. Another observer, or more calibration pictures, may.',
      ),
    ];
  }
  const share = chosen.reduce((sum, each) => sum + each.share, 0);
  const bytes = chosen.reduce((sum, each) => sum + each.bytes, 0);
  const ms = chosen.reduce((sum, each) => sum + each.ms, 0);
  const text = recipeText(chosen);
  const button = element('button', { type: 'button' }, 'Copy');
  button.addEventListener('click', () => {
    void navigator.clipboard.writeText(text).then(
      () => (button.textContent = 'Copied'),
      () => (button.textContent = 'Select and copy it'),
    );
  });
  return [
    element(
      'p',
      {},
      `These ${chosen.length === 1 ? 'is' : 'are'} ${inPercent(share)} of the noise. More exact, they add ${inBytes(bytes)} to the file and ${ms < LEAST_MS ? 'next to nothing' : inMilliseconds(ms)} to a run. For a recipe:`,
    ),
    element('pre', { tabindex: '0' }, text),
    element('p', {}, button),
  ];
}

/** The sums of a model. */
function figuresOf({ totals, memory, accuracy, operations }: Inspection): (readonly [string, string])[] {
  return [
    ['nodes on the device', String(totals.nodes.device)],
    ['on the host', String(totals.nodes.host)],
    ['operations', String(operations.length)],
    ['multiply-adds', totals.macs.toLocaleString('en')],
    [
      'weights in the file',
      inBytes(operations.reduce((sum, { weightBytes }) => sum + (weightBytes ?? 0), 0)),
    ],
    ['constants in memory', inBytes(totals.constantBytes)],
    ['moved a run', inBytes(totals.bytes)],
    ...(memory ? [['activation memory', inBytes(memory.peakBytes)] as const] : []),
    totals.measuredMs === null
      ? ['expected time', inMilliseconds(totals.expectedMs)]
      : ['measured time', inMilliseconds(totals.measuredMs)],
    ...(accuracy && accuracy.agreement !== null
      ? [['same class as float', `${(100 * accuracy.agreement).toFixed(1)} %`] as const]
      : []),
  ];
}

/** From quiet to remarkable, readable in light and dark under the text's colour. */
function heat(at: number): string {
  return `color-mix(in oklab, var(--device), #e5484d ${Math.round(100 * Math.min(1, Math.max(0, at)))}%)`;
}

const shapeOf = (box: SVGGElement) => box.querySelector<SVGElement>('path, polygon')!;
