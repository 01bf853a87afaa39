/** What every command is given. */
export interface CommandContext {
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Whether reasons are wanted: `octet -v …`. */
  readonly verbose: boolean;
}

/** A check that a command was asked for came out false: exit code 1, after the command has printed its findings. */
export class CheckFailure extends Error {
  override name = 'CheckFailure';
}
