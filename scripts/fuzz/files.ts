/**
 * Mutated files under a watchdog: each is loaded in a child process that is ended where it takes too long or too much
 * memory. Any exception but an OctetError is a finding, as are hangs, crashes, slow or large loads of small files, and
 * backends that differ.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FuzzMode } from './mode.ts';

export interface WorkerTask {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  readonly slowMs: number;
}

export type FileOutcome =
  | { readonly kind: 'refused' | 'decoded' | 'loaded' }
  | { readonly kind: 'differs' }
  | { readonly kind: 'raw' | 'slow' | 'large' | 'hang' | 'crash'; readonly what: string };

export type WorkerMessage =
  | { readonly kind: 'idle' }
  | { readonly kind: 'start'; readonly index: number }
  | { readonly kind: 'done'; readonly index: number; readonly outcome: FileOutcome };

export interface FileFuzzOptions {
  readonly seed: number;
  readonly files: number;
  /** Processor time in milliseconds from which a load counts as slow. Default 2,000. */
  readonly slowMs?: number;
}

export interface FileFinding {
  /** Mutation `index` of `seed`: `mutation(seedFiles(), seed, index)` makes the file again. */
  readonly seed: number;
  readonly index: number;
  readonly kind: FileOutcome['kind'];
  readonly what: string;
}

export interface FileFuzzResult {
  readonly counts: {
    readonly files: number;
    readonly refused: number;
    readonly decoded: number;
    readonly loaded: number;
  };
  readonly findings: readonly FileFinding[];
}

/** A child that says nothing for this long hangs; on a machine that does little else, a load takes milliseconds. */
const HANG_MS = 60_000;
/** Heap of the child in megabytes. */
const HEAP_MB = 1_500;
/** Files that a child loads before a fresh one takes its place, so that what is left of them does not add up. */
const FILES_PER_CHILD = 1_000;

/** Files of a case of the mode: enough that they take longer than the start of a child. */
const FILES_PER_CASE = 250;

export const mutatedFiles: FuzzMode = {
  name: 'files',
  async run(seed) {
    const { counts, findings } = await fuzzFiles({ seed, files: FILES_PER_CASE });
    const lines = findings.map(({ index, kind, what }) => `file ${index}: ${kind} ${what}`);
    return { counts, ...(lines.length > 0 && { finding: lines.join('\n') }) };
  },
};

export async function fuzzFiles({ seed, files, slowMs = 2_000 }: FileFuzzOptions): Promise<FileFuzzResult> {
  const counts = { files: 0, refused: 0, decoded: 0, loaded: 0 };
  const findings: FileFinding[] = [];
  const record = (index: number, outcome: FileOutcome) => {
    counts.files++;
    if (outcome.kind === 'refused' || outcome.kind === 'decoded' || outcome.kind === 'loaded')
      counts[outcome.kind]++;
    else findings.push({ seed, index, kind: outcome.kind, what: 'what' in outcome ? outcome.what : '' });
  };
  for (let next = 0; next < files;) {
    const to = Math.min(files, next + FILES_PER_CHILD);
    next = await runChild({ seed, from: next, to, slowMs }, record);
  }
  return { counts, findings };
}

/** Runs a task until it is done, or the child is. @returns the first index that is left */
function runChild(task: WorkerTask, record: (index: number, outcome: FileOutcome) => void): Promise<number> {
  return new Promise((resolve) => {
    const child: ChildProcess = fork(fileURLToPath(new URL('./file-worker.ts', import.meta.url)), {
      execArgv: ['--conditions=octet:source', '--import', 'tsx', `--max-old-space-size=${HEAP_MB}`],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let current = task.from;
    let working = false;
    let sent = false;
    let errors = '';
    child.stderr!.on('data', (text: Buffer) => (errors = (errors + text.toString()).slice(-2_000)));
    const finish = (index: number) => {
      clearTimeout(watchdog);
      child.removeAllListeners();
      child.kill('SIGKILL');
      resolve(index);
    };
    const hang = () => {
      record(current, { kind: 'hang', what: `nothing for ${HANG_MS} ms` });
      finish(current + 1);
    };
    let watchdog = setTimeout(hang, HANG_MS);
    child.on('message', (message: WorkerMessage) => {
      clearTimeout(watchdog);
      watchdog = setTimeout(hang, HANG_MS);
      if (message.kind === 'start') {
        current = message.index;
        working = true;
      } else if (message.kind === 'done') {
        record(message.index, message.outcome);
        current = message.index + 1;
        working = false;
      } else if (sent) {
        finish(task.to);
      } else {
        sent = true;
        child.send(task);
      }
    });
    child.on('exit', (code, signal) => {
      record(current, { kind: 'crash', what: `${signal ?? `code ${code}`}: ${errors}` });
      // A child that ends before its first file would end each time.
      finish(working ? current + 1 : task.to);
    });
  });
}
