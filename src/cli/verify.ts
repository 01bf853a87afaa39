import type { Command } from 'commander';
import { verifyGoldenPack } from '../inspect/golden.ts';
import type { LoadOptions } from '../model/model.ts';
import { platform } from '#platform';
import { CheckFailure, type CommandContext } from './context.ts';
import { activationLimit, backendOption, maxActivationBytesOption } from './options.ts';
import { onProgress, print, printJson, progress } from './output.ts';

interface VerifyCommandOptions {
  readonly backend: NonNullable<LoadOptions['backend']>;
  readonly model?: string;
  readonly maxActivationBytes?: number;
  readonly json?: boolean;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<pack>', 'zip file that octet golden wrote')
    .addOption(backendOption())
    .option('-m, --model <file>', 'the model, for packs without it')
    .addOption(maxActivationBytesOption())
    .option('--json', 'print JSON')
    .action(async (path: string, options: VerifyCommandOptions) => {
      const pack = await platform.readFile(path);
      const model = options.model === undefined ? undefined : await platform.readFile(options.model);
      const bar = progress('Verifying');
      const verification = await verifyGoldenPack(pack, {
        backend: options.backend,
        onProgress: onProgress(bar),
        signal,
        ...(model && { model }),
        ...activationLimit(options),
      }).finally(() => bar.stop());
      if (options.json) printJson(verification);
      else print(verification.equal ? verification.line : verification.report);
      if (!verification.equal) throw new CheckFailure(verification.line);
    });
}
