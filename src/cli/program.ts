import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { OctetError } from '../errors.ts';
import { CheckFailure, type CommandContext } from './context.ts';

/** A command's arguments, options and action; its name and description are known before its module is loaded. */
interface CommandModule {
  readonly configure: (command: Command, context: CommandContext) => void;
}

interface CommandEntry {
  readonly description: string;
  readonly load: () => Promise<CommandModule>;
}

const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  quantize: {
    description: 'calibrate a float model on pictures and write it as a quantized (QDQ) ONNX file',
    load: () => import('./quantize.ts'),
  },
  calibrate: {
    description:
      'gather the statistics that quantize needs, and keep them: recipes are then tried in seconds',
    load: () => import('./calibrate.ts'),
  },
  inspect: {
    description:
      'what becomes of each node of a model on a device, and why; times, bytes, memory, accuracy; as text, JSON, HTML or SVG',
    load: () => import('./inspect.ts'),
  },
  diff: {
    description:
      'two versions of a model side by side, layer by layer: bits, scales, kernels, bytes, times, SQNR',
    load: () => import('./diff.ts'),
  },
  device: {
    description: 'measure the device at hand, for inspect --target',
    load: () => import('./device.ts'),
  },
  open: {
    description: 'serve the demo page on this machine with a model of yours in every view',
    load: () => import('./open.ts'),
  },
  classify: {
    description: 'say what is in pictures: most probable classes with their probabilities',
    load: () => import('./classify.ts'),
  },
  run: {
    description:
      'run a model on a picture: what its outputs are, and what a detector found drawn on the picture',
    load: () => import('./run.ts'),
  },
  bench: {
    description: 'time a quantized model on the backends of this machine',
    load: () => import('./bench.ts'),
  },
  evaluate: {
    description:
      'accuracy of models on labelled pictures, side by side: float ones through ONNX Runtime, quantized ones through Octet',
    load: () => import('./evaluate.ts'),
  },
  merge: {
    description:
      'join the parts that `octet evaluate --shard i/n --json` printed into the evaluation of all pictures',
    load: () => import('./merge.ts'),
  },
  compare: {
    description:
      'compare two models layer by layer (SQNR, cosine), or one quantized model on two backends (every byte; exit code 1 where they differ)',
    load: () => import('./compare.ts'),
  },
  golden: {
    description: 'pack a model, pictures, and what every tensor is, to be verified elsewhere',
    load: () => import('./golden.ts'),
  },
  verify: {
    description: 'run a golden pack here: every tensor must be the same (exit code 1 where one differs)',
    load: () => import('./verify.ts'),
  },
  search: {
    description:
      'bits for the weights of each layer: the smallest model that loses at most so much, or the best of a size',
    load: () => import('./search.ts'),
  },
  sweep: {
    description: 'accuracy at every combination of weight and activation bits, to see where each bit hurts',
    load: () => import('./sweep.ts'),
  },
  serve: {
    description: 'HTTP server for quantized models: Open Inference Protocol v2, and pictures to classify',
    load: () => import('./serve.ts'),
  },
  data: {
    description: 'fetch a data set into the cache directory',
    load: () => import('./data.ts'),
  },
};

const EXIT = { ok: 0, checkFailed: 1, badInput: 2, interrupted: 130 };

async function createProgram(args: readonly string[], context: CommandContext): Promise<Command> {
  const { version } = createRequire(import.meta.url)('octetjs/package.json') as { version: string };
  const program = new Command('octet')
    .description('Int8 convolutional networks: quantize float ONNX models, run them, measure them.')
    .version(version)
    .option('-v, --verbose', 'say why a backend was chosen, and print the stack of errors')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 a check failed (compare, verify, --threshold), 2 wrong usage or bad input.',
    )
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(see --help)')
    // What stands behind a command is that command's: inspect has a --verbose of its own.
    .enablePositionalOptions()
    .exitOverride();
  for (const [name, { description, load }] of Object.entries(COMMANDS)) {
    const command = program.command(name).description(description);
    // Modules of other commands would only cost time: ONNX Runtime, picture decoding and the server among them.
    if (args.includes(name)) (await load()).configure(command, context);
  }
  for (const command of program.commands) command.copyInheritedSettings(program);
  // The script of `octet complete <shell>` asks `octet complete -- …` for what comes next.
  if (args.length === 0 || args.includes('complete') || args.includes('--help') || args.includes('-h')) {
    const [{ default: addCompletion }, { ShellCompDirective }] = await Promise.all([
      import('@bomb.sh/tab/commander'),
      import('@bomb.sh/tab'),
    ]);
    const completion = addCompletion(program);
    // By itself it never has the shell complete files, which most arguments are.
    Object.defineProperty(completion, 'directive', {
      get: () =>
        completion.completions.length > 0
          ? ShellCompDirective.ShellCompDirectiveNoFileComp
          : ShellCompDirective.ShellCompDirectiveDefault,
      set: () => undefined,
      configurable: true,
    });
  }
  return program;
}

/** Runs one command line (without `node` and the script). Returns the exit code; never throws. */
export async function runCli(args: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => controller.abort(new OctetError('interrupted'));
  process.once('SIGINT', interrupt);
  const verbose = args[0] === '-v' || args[0] === '--verbose';
  const program = await createProgram(args, { signal: controller.signal, verbose });
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // Commander has printed its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.badInput;
    printError(error, verbose);
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
      : `error: unexpected: ${message}\n(a bug in Octet? octet --verbose … shows where)\n`,
  );
}
