import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { OctetError } from '../errors.ts';
import { addCalibrateCommand } from './calibrate.ts';
import { addClassifyCommand } from './classify.ts';
import { addCompareCommand } from './compare.ts';
import { CheckFailure, type CommandContext } from './context.ts';
import { addDataCommand } from './data.ts';
import { addEvaluateCommand } from './evaluate.ts';
import { addInfoCommand } from './info.ts';
import { addMergeCommand } from './merge.ts';
import { addQuantizeCommand } from './quantize.ts';
import { addServeCommand } from './serve.ts';
import { addSweepCommand } from './sweep.ts';

const EXIT = { ok: 0, checkFailed: 1, badInput: 2, interrupted: 130 };

function createProgram(context: CommandContext): Command {
  const { version } = createRequire(import.meta.url)('octetjs/package.json') as { version: string };
  const program = new Command('octet')
    .description('Int8 convolutional networks: quantize float ONNX models, run them, measure them.')
    .version(version)
    .option('--verbose', 'print the stack of errors')
    .addHelpText('after', '\nExit codes: 0 done, 1 a check failed (compare), 2 wrong usage or bad input.')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(see --help)')
    .exitOverride();
  addQuantizeCommand(program, context);
  addCalibrateCommand(program, context);
  addInfoCommand(program);
  addClassifyCommand(program, context);
  addEvaluateCommand(program, context);
  addMergeCommand(program);
  addCompareCommand(program, context);
  addSweepCommand(program, context);
  addServeCommand(program, context);
  addDataCommand(program, context);
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}

/** Runs one command line (without `node` and the script). Returns the exit code; never throws. */
export async function runCli(args: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => controller.abort(new OctetError('interrupted'));
  process.once('SIGINT', interrupt);
  const program = createProgram({ signal: controller.signal });
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // Commander has printed its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.badInput;
    printError(error, program.opts<{ verbose?: boolean }>().verbose === true);
    if (controller.signal.aborted) return EXIT.interrupted;
    return error instanceof CheckFailure ? EXIT.checkFailed : EXIT.badInput;
  } finally {
    process.removeListener('SIGINT', interrupt);
  }
}

function printError(error: unknown, verbose: boolean): void {
  if (verbose && error instanceof Error) {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    for (let { cause } = error; cause instanceof Error; { cause } = cause) {
      process.stderr.write(`caused by ${cause.stack ?? cause.message}\n`);
    }
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  const expected = error instanceof OctetError || error instanceof CheckFailure;
  process.stderr.write(
    expected
      ? `error: ${message}\n`
      : `error: unexpected: ${message}\n(a bug in Octet? --verbose shows where)\n`,
  );
}
