/** Runs a command line in this process and keeps what it prints. */
import { vi } from 'vitest';
import { runCli } from '../../src/cli/program.ts';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function octet(...args: readonly string[]): Promise<CliResult> {
  const text = { stdout: '', stderr: '' };
  const capture = (stream: 'stdout' | 'stderr') =>
    vi.spyOn(process[stream], 'write').mockImplementation((chunk: string | Uint8Array) => {
      text[stream] += typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk);
      return true;
    });
  const spies = [capture('stdout'), capture('stderr')];
  try {
    const code = await runCli(args);
    return { code, ...text };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
