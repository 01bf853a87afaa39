/** What a visitor feels: tasks that hold the page's thread, and things that jump. */
import type { Browser, Page } from 'playwright';

/** A shift smaller than this is a digit that grew wider, not something a person sees move. "Good" ends at 0.1, for a whole visit. */
const VISIBLE_SHIFT = 0.002;

interface LayoutShift extends PerformanceEntry {
  readonly value: number;
  readonly sources: readonly { readonly node: Node | null }[];
}

/** Must be called before the page is opened. */
export async function watchShifts(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const shifts: { value: number; moved: string[] }[] = [];
    Object.assign(window, { shifts });
    new PerformanceObserver((list) => {
      for (const { value, sources } of list.getEntries() as LayoutShift[]) {
        const moved = sources.map(({ node }) =>
          node instanceof Element ? node.outerHTML.slice(0, 120) : (node?.textContent ?? 'gone'),
        );
        shifts.push({ value, moved });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
}

/** What moved visibly since the page was opened, and by how much. */
export async function shiftsOf(page: Page): Promise<{ value: number; moved: string[] }[]> {
  const shifts = await page.evaluate(
    () => (window as unknown as { shifts: { value: number; moved: string[] }[] }).shifts,
  );
  return shifts.filter(({ value }) => value > VISIBLE_SHIFT);
}

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds, as all times here. */
  readonly ts: number;
  readonly dur?: number;
  /** Time that the thread was running, not waiting for a core. */
  readonly tdur?: number;
}

export interface TaskTrace {
  /** Names what was done since the last phase. */
  phase(name: string): Promise<void>;
  /** Ends the trace: the tasks of the page's main thread that took longer than `ms`, and in which phase. */
  tasksOver(ms: number): Promise<string[]>;
}

/**
 * Records all tasks of the page's main thread. They are judged by the time that the thread ran: on a machine that is busy with other
 * tests, waiting for a core says nothing about the page.
 */
export async function traceTasks(browser: Browser, page: Page): Promise<TaskTrace> {
  const PHASE = 'phase: ';
  await browser.startTracing(page, {
    categories: ['disabled-by-default-devtools.timeline', 'blink.user_timing'],
  });
  const phases: string[] = [];
  return {
    async phase(name) {
      phases.push(name);
      await page.evaluate((mark) => void performance.mark(mark), PHASE + name);
    },
    async tasksOver(ms) {
      const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as {
        traceEvents: TraceEvent[];
      };
      const marks = traceEvents.filter(({ name }) => name.startsWith(PHASE)).sort((a, b) => a.ts - b.ts);
      const missing = phases.filter((phase) => !marks.some(({ name }) => name === PHASE + phase));
      if (missing.length > 0) throw new Error(`the trace is not whole: no ${missing.join(', ')}`);
      const [{ pid, tid }] = marks;
      const tasks = traceEvents.filter(
        (event) => event.name === 'RunTask' && event.ph === 'X' && event.pid === pid && event.tid === tid,
      );
      return tasks
        .map(({ ts, dur = 0, tdur = dur }) => ({
          took: tdur / 1000,
          phase: marks.find((mark) => mark.ts > ts)?.name ?? 'after the last phase',
        }))
        .filter(({ took }) => took > ms)
        .map(({ took, phase }) => `${took.toFixed(0)} ms in ${phase}`);
    },
  };
}
