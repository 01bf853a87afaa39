/** What commands print: data on stdout, progress on stderr. */
import { SingleBar } from 'cli-progress';
import CliTable from 'cli-table3';
import type { Model } from '../model/model.ts';
import type { ProgressEvent } from '../progress.ts';

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A remark beside the data. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** The backend, in a short line: why it was chosen can be a long story. */
export function noteBackend({ backend, backendReason }: Model, verbose: boolean): void {
  note(verbose ? `run by ${backend}: ${backendReason}` : `run by ${backend} (octet -v says why)`);
}

export function printJson(value: unknown): void {
  // Infinity and NaN have no JSON form; they are told apart from missing values by their names.
  print(
    JSON.stringify(
      value,
      (_, item: unknown) => {
        if (typeof item === 'number' && !Number.isFinite(item)) return String(item);
        if (item instanceof Map) return Object.fromEntries(item) as unknown;
        if (ArrayBuffer.isView(item)) return Array.from(item as Float32Array);
        return item;
      },
      2,
    ),
  );
}

/** A plain table; columns whose heads start with a space are aligned to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = new CliTable({
    head: head.map((title) => title.trim()),
    colAligns: head.map((title) => (title.startsWith(' ') ? 'right' : 'left')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '  ',
    },
  });
  lines.push(...rows.map((row) => [...row]));
  return lines
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

export const percent = (share: number): string =>
  Number.isNaN(share) ? '–' : `${(share * 100).toFixed(2)} %`;

/** `1 picture`, `2 pictures`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(2)} MB`;
}

/** Milliseconds of each of `count` pictures that took `seconds` together. */
export const millisecondsEach = (seconds: number, count: number): string =>
  ((seconds * 1000) / count).toFixed(1);

export function decibels(value: number): string {
  return Number.isFinite(value) ? value.toFixed(1) : value > 0 ? '∞' : '–';
}

export interface Progress {
  update(done: number, total: number, item?: string): void;
  stop(): void;
}

/** A bar on a terminal; elsewhere (a log, CI) a line at every tenth. */
export function progress(label: string): Progress {
  if (!process.stderr.isTTY) return progressLines(label);
  const bar = new SingleBar({
    format: `${label} {bar} {percentage} %  {item}  {duration_formatted}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 30,
  });
  let started = false;
  return {
    update(done, total, item = `${done}/${total}`) {
      if (!started) bar.start(total, done, { item });
      started = true;
      bar.setTotal(total);
      bar.update(done, { item });
    },
    stop() {
      if (started) bar.stop();
    },
  };
}

function progressLines(label: string): Progress {
  let tenth = -1;
  return {
    update(done, total) {
      const reached = Math.floor((10 * done) / total);
      if (reached <= tenth) return;
      tenth = reached;
      process.stderr.write(`${label} ${done}/${total}\n`);
    },
    stop: () => undefined,
  };
}

/** An `onProgress` that draws `bar`. */
export function onProgress(bar: Progress): (event: ProgressEvent) => void {
  return (event) => {
    if (event.stage === 'fetch') bar.update(event.loaded, event.total ?? event.loaded);
    else bar.update(event.done, event.total, 'item' in event ? event.item : undefined);
  };
}
