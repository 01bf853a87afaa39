/** The panel beside the graph: all that is known of the box that was chosen. */
import type { ValueAccuracy } from '../accuracy.ts';
import { figureText, figureTitles } from '../diff.ts';
import { inBits, inBytes, inCosts, inMilliseconds, inParts } from '../text.ts';
import { rankLayers } from '../advice.ts';
import { element, pairs, swatch } from './dom.ts';
import { figureOf, type Item, type ReportData, type ReportPicture, SCALES } from './data.ts';

export class Details {
  readonly #data: ReportData;
  /** Decoded on the first look at one. */
  #kernels: Promise<readonly (string | null)[]> | undefined;

  constructor(data: ReportData) {
    this.#data = data;
  }

  /** @param open shows the inside of a block */
  of(item: Item, open: () => void): HTMLElement[] {
    const parts: HTMLElement[] = [element('h2', {}, item.title), element('p', { class: 'quiet' }, item.kind)];
    if (item.members.length > 0) {
      parts.push(...blockParts(item, open));
      return parts;
    }
    parts.push(...nodeParts(item), ...operationParts(item), ...diffParts(item));
    if (item.operation && this.#data.kernels !== null && item.operation.kernel !== null) {
      parts.push(this.#kernel(this.#data.inspection.operations.indexOf(item.operation)));
    }
    parts.push(...this.#effects(item), ...this.#accuracy(item));
    return parts;
  }

  /** Collapsed: the text is decoded when it is opened. */
  #kernel(index: number): HTMLElement {
    const text = element('pre', { tabindex: '0' }, '…');
    const box = element('details', {}, element('summary', {}, 'Text of the kernel'), text);
    box.addEventListener('toggle', () => {
      if (!box.open) return;
      this.#kernels ??= decoded(this.#data.kernels!);
      void this.#kernels.then(
        (texts) => (text.textContent = texts[index] ?? 'none'),
        () => (text.textContent = 'This browser cannot unpack it.'),
      );
    });
    return box;
  }

  #effects({ effects }: Item): HTMLElement[] {
    if (effects.length === 0) return [];
    const ranked = rankLayers(this.#data.inspection);
    return effects.flatMap((effect) => {
      const rank = ranked.findIndex(({ kind, name }) => kind === effect.kind && name === effect.name);
      const { isolated, cumulative } = effect;
      return [
        element('h3', {}, `Rounding its ${inParts(effect)}`),
        pairs([
          ['rank', `${rank + 1} of ${ranked.length}, ${(100 * effect.share).toFixed(1)} % of the noise`],
          ['alone', `${isolated.sqnr.toFixed(1)} dB at the outputs`],
          ['up to it', `${cumulative.sqnr.toFixed(1)} dB`],
          ['instead', inCosts(ranked[rank])],
        ]),
        ...(isolated.otherAnswers && isolated.otherAnswers.length > 0
          ? [
              element('p', {}, 'Alone, it changes the answer for:'),
              this.#pictures(isolated.otherAnswers.map((picture) => [picture, ''])),
            ]
          : []),
      ];
    });
  }

  #accuracy({ accuracy }: Item): HTMLElement[] {
    if (!accuracy) return [];
    return [
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
      ]),
      element('h3', {}, 'Pictures that lose most here'),
      this.#pictures(
        accuracy.worstPictures.map(({ picture, sqnr }) => [picture, `${sqnr.toFixed(1)} dB`] as const),
      ),
      ...(accuracy.levels ? [element('h3', {}, 'Values by level'), histogramOf(accuracy.levels)] : []),
    ];
  }

  #pictures(list: readonly (readonly [picture: number, note: string])[]): HTMLElement {
    return element(
      'div',
      { class: 'pictures' },
      ...list.map(([picture, note]) => pictureOf(picture, note, this.#data.pictures[picture])),
    );
  }
}

function pictureOf(picture: number, note: string, shown: ReportPicture | undefined): HTMLElement {
  const name = shown?.name ?? `picture ${picture}`;
  const text = note ? `${picture}: ${note}` : String(picture);
  return element(
    'figure',
    { title: name },
    ...(shown ? [element('img', { src: shown.src, alt: name })] : []),
    element('figcaption', {}, text),
  );
}

async function decoded(base64: string): Promise<readonly (string | null)[]> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return (await new Response(stream).json()) as (string | null)[];
}

function blockParts(item: Item, open: () => void): HTMLElement[] {
  const button = element('button', { type: 'button' }, 'Open this block');
  button.addEventListener('click', open);
  const figures = Object.values(SCALES).flatMap((scale) => {
    const value = figureOf(scale, item);
    return value === undefined
      ? []
      : [[scale.joined === 'least' ? `lowest ${scale.title}` : scale.title, scale.format(value)] as const];
  });
  return [
    button,
    element('h3', {}, 'All of it'),
    pairs(figures),
    element('h3', {}, 'Nodes'),
    pairs(item.members.map(({ title, kind }) => [kind, title] as const)),
  ];
}

function nodeParts({ node }: Item): HTMLElement[] {
  if (!node) return [];
  return [
    element('p', {}, node.reason),
    pairs([
      ['runs on', node.stage],
      ['output', node.shape.join('×')],
      ['multiply-adds', node.macs ? node.macs.toLocaleString('en') : '–'],
      ['parameters', node.parameters ? node.parameters.toLocaleString('en') : '–'],
      ['reads', node.reads.join(', ')],
    ]),
  ];
}

function operationParts({ operation }: Item): HTMLElement[] {
  if (!operation) return [];
  const { output, expected, measuredMs } = operation;
  return [
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
  ];
}

function diffParts({ diff }: Item): HTMLElement[] {
  if (!diff || diff.differs.length === 0) return [];
  return [
    element('h3', {}, diff.before ? 'Against the other model' : 'Not in the other model'),
    pairs(
      diff.before
        ? diff.differs.map((key) => [
            figureTitles[key],
            `${figureText(key, diff.before)} → ${figureText(key, diff.after)}`,
          ])
        : [],
    ),
  ];
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
