#!/usr/bin/env node
import { describeFileError } from '../platform/node/file-error.ts';
import { runCli } from './program.ts';

// `octet … | head` closes the pipe early: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`error: cannot write the output: ${describeFileError(error)}\n`);
  process.exit(2);
});
// There is nowhere left to say that it cannot be said.
process.stderr.on('error', () => undefined);

process.exitCode = await runCli(process.argv.slice(2));
