import type { ProgressEvent } from 'octetjs';

/** At most one message in so many milliseconds: a fast download reports thousands of times. */
const INTERVAL_MS = 50;

/** Passes on the events that a person could see; always the first and the last of a stage. */
export function throttled(onProgress: (event: ProgressEvent) => void): (event: ProgressEvent) => void {
  let last = -Infinity;
  let stage = '';
  return (event) => {
    const [done, total] = event.stage === 'fetch' ? [event.loaded, event.total] : [event.done, event.total];
    const now = performance.now();
    if (event.stage === stage && done !== total && now - last < INTERVAL_MS) return;
    last = now;
    stage = event.stage;
    onProgress(event);
  };
}
