import { useEffect, useRef, useState } from 'preact/hooks';
import { isAbort } from '../engine/jobs.ts';
import { messageOf, notice } from '../state.ts';

export interface Job {
  readonly running: boolean;
  /** Does `work`, and shows the error where it fails for another reason than that it was cancelled. */
  start(work: (signal: AbortSignal) => Promise<void>): void;
  cancel(): void;
}

/** Something long that a view does on request: one at a time, cancelled when the view is left. */
export function useJob(): Job {
  const controller = useRef<AbortController | null>(null);
  const [running, setRunning] = useState(false);
  useEffect(() => () => controller.current?.abort(), []);

  async function run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const own = (controller.current = new AbortController());
    setRunning(true);
    try {
      await work(own.signal);
    } catch (error) {
      if (!isAbort(error)) notice.value = messageOf(error);
    } finally {
      setRunning(false);
    }
  }

  return {
    running,
    start: (work) => void run(work),
    cancel: () => controller.current?.abort(),
  };
}
