import * as v from 'valibot';
import { check, finite, index, text } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { bytesPerStep } from './memory.ts';
import type { Allocation, MemoryPlan, Step } from './plan.ts';

const WIDTH = 960;
const LEFT = 92;
const RIGHT = 16;
const TOP = 56;
/** Height of all arenas together, and of the chart of bytes alive below them. */
const ARENAS_HEIGHT = 300;
const ALIVE_HEIGHT = 72;
const GAP = 14;
/** Room for the steps' names, which stand at 45°. */
const NAMES_HEIGHT = 96;
/** Longest step name that is shown whole. */
const NAME_LENGTH = 18;
/** Least height of an arena, so that a small one is still seen. */
const LEAST_HEIGHT = 14;

const allocation = v.object(
  {
    id: index,
    name: text,
    bytes: finite,
    arena: index,
    offset: finite,
    firstStep: index,
    lastStep: index,
  },
  'an allocation',
);

const planSchema = v.object(
  {
    allocations: v.array(allocation, 'a list of allocations'),
    arenas: v.array(finite, 'a list of sizes'),
    peakBytes: finite,
    lowerBoundBytes: finite,
    naiveBytes: finite,
  },
  'a MemoryPlan',
);

const ids = v.array(index, 'a list of tensors');
const stepsSchema = v.array(v.object({ name: text, reads: ids, writes: ids }, 'a step'), 'a list of steps');

/**
 * A picture of a memory plan: each buffer a rectangle, over the steps it is alive in (to the right) and the
 * bytes it takes in its arena (downwards), and below them the bytes alive at each step with the lower bound.
 * A whole SVG document, light and dark by the reader's preference, with the names as tooltips.
 *
 * @param steps the steps that the plan was made for
 * @throws {InputError} no plan, or one of other steps
 */
export function planToSvg(plan: MemoryPlan, steps: readonly Step[]): string {
  checkPlan(plan, steps);
  const columnWidth = (WIDTH - LEFT - RIGHT) / steps.length;
  const x = (step: number) => LEFT + step * columnWidth;
  const scale = ARENAS_HEIGHT / Math.max(1, plan.peakBytes);
  const parts: string[] = [];

  let top = TOP;
  for (const [arena, bytes] of plan.arenas.entries()) {
    const height = Math.max(LEAST_HEIGHT, bytes * scale);
    const y = (offset: number) => round(top + (offset / bytes) * height);
    parts.push(
      `<rect class="arena" x="${LEFT}" y="${round(top)}" width="${WIDTH - LEFT - RIGHT}" height="${round(height)}" rx="3"/>`,
      `<text class="label" x="${LEFT - 10}" y="${round(top + 10)}" text-anchor="end">arena ${arena}</text>`,
    );
    if (height >= 2 * LEAST_HEIGHT) {
      parts.push(
        `<text class="quiet" x="${LEFT - 10}" y="${round(top + 25)}" text-anchor="end">${formatBytes(bytes)}</text>`,
      );
    }
    for (const allocation of plan.allocations.filter((each) => each.arena === arena)) {
      const left = x(allocation.firstStep) + 1;
      const width = (allocation.lastStep - allocation.firstStep + 1) * columnWidth - 2;
      parts.push(
        buffer(allocation, steps, left, y(allocation.offset), width, (allocation.bytes / bytes) * height),
      );
    }
    top += height + GAP;
  }

  const alive = bytesPerStep(plan, steps);
  const bottom = top + ALIVE_HEIGHT;
  const aliveScale = ALIVE_HEIGHT / Math.max(1, plan.peakBytes);
  for (const [step, bytes] of alive.entries()) {
    const height = bytes * aliveScale;
    parts.push(
      `<rect class="alive" x="${round(x(step) + 1)}" y="${round(bottom - height)}" width="${round(columnWidth - 2)}" height="${round(height)}"><title>${escape(steps[step].name)}: ${formatBytes(bytes)} alive</title></rect>`,
    );
  }
  const bound = round(bottom - plan.lowerBoundBytes * aliveScale);
  parts.push(
    `<line class="bound" x1="${LEFT}" y1="${bound}" x2="${WIDTH - RIGHT}" y2="${bound}"/>`,
    `<text class="label" x="${LEFT - 10}" y="${round(bottom - ALIVE_HEIGHT + 10)}" text-anchor="end">alive</text>`,
  );
  if (columnWidth >= 9) {
    for (const [step, { name }] of steps.entries()) {
      const middle = round(x(step) + columnWidth / 2 + 3);
      parts.push(
        `<text class="quiet" transform="translate(${middle} ${round(bottom + 12)}) rotate(-45)" text-anchor="end">${escape(shorten(name))}</text>`,
      );
    }
  }

  const height = Math.ceil(bottom + (columnWidth >= 9 ? NAMES_HEIGHT : GAP));
  const ratio = plan.lowerBoundBytes > 0 ? (plan.peakBytes / plan.lowerBoundBytes).toFixed(2) : '1.00';
  const summary = `peak ${formatBytes(plan.peakBytes)}, ${ratio} × the lower bound of ${formatBytes(plan.lowerBoundBytes)}; ${formatBytes(plan.naiveBytes)} without reuse`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Memory plan: ${summary}">`,
    STYLE,
    `<rect class="page" width="${WIDTH}" height="${height}"/>`,
    `<text class="title" x="16" y="24">Buffers over steps</text>`,
    `<text class="quiet" x="16" y="42">${summary}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function buffer(
  { id, name, bytes, firstStep, lastStep, offset }: Allocation,
  steps: readonly Step[],
  left: number,
  top: number,
  width: number,
  height: number,
): string {
  const title = `${name}: ${formatBytes(bytes)} at ${offset}, from "${steps[firstStep].name}" to "${steps[lastStep].name}"`;
  // Golden-angle hues: neighbours in the program differ.
  const hue = Math.round((id * 137.508) % 360);
  const shape = `<rect fill="${colour(hue)}" x="${round(left)}" y="${round(top)}" width="${round(width)}" height="${round(Math.max(1, height - 1))}" rx="2"/>`;
  const text = formatBytes(bytes);
  const fits = height >= 14 && width >= text.length * 6 + 8;
  const label = fits
    ? `<text class="inside" x="${round(left + 5)}" y="${round(top + 11)}">${text}</text>`
    : '';
  return `<g><title>${escape(title)}</title>${shape}${label}</g>`;
}

/** Plain colours, so that viewers without CSS variables draw them too. */
const STYLE = `<style>
  text { font: 11px system-ui, sans-serif; fill: #1b1f24; }
  .title { font-size: 15px; font-weight: 600; }
  .label { font-weight: 600; }
  .quiet { fill: #667085; font-size: 10px; }
  .page { fill: #ffffff; }
  .arena { fill: #f2f4f7; }
  .alive { fill: #98a2b3; }
  .bound { stroke: #d92d20; stroke-dasharray: 4 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ee; }
    .quiet { fill: #98a2b3; }
    .page { fill: #14171c; }
    .arena { fill: #1d2229; }
    .alive { fill: #475467; }
    .bound { stroke: #f97066; }
  }
  .inside { fill: #14171c; font-size: 10px; }
</style>`;

/** A pastel that dark text is legible on, as hex: HSL with saturation 55 % and lightness 68 %. */
function colour(hue: number): string {
  const channel = (n: number) => {
    const k = (n + hue / 30) % 12;
    const value = 0.68 - 0.176 * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const [value, unit] = bytes < 2 ** 20 ? [bytes / 2 ** 10, 'KiB'] : [bytes / 2 ** 20, 'MiB'];
  return `${value.toLocaleString('en', { maximumFractionDigits: 1 })} ${unit}`;
}

/** The end of a long name: ONNX names begin alike. */
function shorten(name: string): string {
  return name.length <= NAME_LENGTH ? name : `…${name.slice(1 - NAME_LENGTH)}`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function checkPlan(plan: MemoryPlan, steps: readonly Step[]): void {
  check('planToSvg', { plan: planSchema, steps: stepsSchema }, { plan, steps });
  const fits = plan.allocations.every(
    ({ firstStep, lastStep, arena }) =>
      firstStep <= lastStep && lastStep < steps.length && arena < plan.arenas.length,
  );
  if (!fits)
    throw new InputError(`planToSvg: the plan was made for other steps than the ${steps.length} given`);
}
