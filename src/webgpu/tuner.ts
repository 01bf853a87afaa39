/** Finds the fastest variant of each distinct shape on the device at hand, once, and remembers it. */
import { median } from 'simple-statistics';
import type { GpuVariant } from '../ops/gpu-kernel.ts';
import type { IntegerProgram } from '../program/program.ts';
import type { ProgressEvent } from '../progress.ts';
import { version } from '../version.ts';
import type { ConstantCache } from './constants.ts';
import type { OpenDevice } from './device.ts';
import { candidates, planExecution } from './execution-plan.ts';
import type { Candidates, DeviceProgram } from './execution-plan.ts';
import type { PipelineCache } from './pipelines.ts';
import { encode, preparePlan } from './prepared-plan.ts';
import type { PreparedPlan } from './prepared-plan.ts';
import { createStopwatch, timeInterleaved } from './stopwatch.ts';
import { platform } from '#platform';

/** `off`: the first variant, which is the default of the adapter's class. `quick`: the best of a few. `full`: the best of all. */
export type TuneMode = 'off' | 'quick' | 'full';

/** How many variants are timed, and how often. */
const effort = {
  quick: { variants: 4, rounds: 3 },
  full: { variants: Infinity, rounds: 7 },
} as const;

/** A variant that takes this many times the best one's first time is not timed again. */
const hopeless = 2;

interface Winner {
  readonly variant: string;
  readonly mode: 'quick' | 'full';
}

export class Tuner {
  readonly #open: OpenDevice;
  readonly #pipelines: PipelineCache;
  readonly #constants: ConstantCache;
  readonly #mode: TuneMode;
  readonly #winners = new Map<string, Winner>();
  /** Tunings wait for each other: two at once would time each other. */
  #last: Promise<void>;

  constructor(open: OpenDevice, pipelines: PipelineCache, constants: ConstantCache, mode: TuneMode) {
    this.#open = open;
    this.#pipelines = pipelines;
    this.#constants = constants;
    this.#mode = mode;
    this.#last = mode === 'off' ? Promise.resolve() : this.#recall();
  }

  /** The variant to run: the remembered winner, else the default. */
  choose({ tuningKey, variants }: Candidates): GpuVariant {
    const winner = this.#winners.get(tuningKey)?.variant;
    return variants.find(({ name }) => name === winner) ?? variants[0];
  }

  /** Times what is not known yet of a program's shapes. Does nothing where tuning is off. */
  tune(
    request: DeviceProgram,
    signal: AbortSignal,
    onProgress: ((event: ProgressEvent) => void) | undefined,
  ): Promise<void> {
    if (this.#mode === 'off') return Promise.resolve();
    const mode = this.#mode;
    const turn = this.#last.then(() => this.#tune(request, mode, signal, onProgress));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #tune(
    request: DeviceProgram,
    mode: 'quick' | 'full',
    signal: AbortSignal,
    onProgress: ((event: ProgressEvent) => void) | undefined,
  ): Promise<void> {
    const unknown = new Map<string, Candidates>();
    for (const operation of request.program.operations) {
      const choice = candidates(operation, request);
      const winner = this.#winners.get(choice.tuningKey);
      const known =
        winner &&
        (winner.mode === 'full' || mode === 'quick') &&
        choice.variants.some(({ name }) => name === winner.variant);
      if (!known && choice.variants.length > 1) unknown.set(choice.tuningKey, choice);
    }
    if (unknown.size === 0) return;
    let done = 0;
    for (const [key, choice] of unknown) {
      onProgress?.({ stage: 'tune', done: done++, total: unknown.size, item: key });
      this.#winners.set(key, { variant: await this.#fastest(request, choice, mode, signal), mode });
    }
    onProgress?.({ stage: 'tune', done, total: unknown.size });
    await platform.remember(this.#memoryKey(), JSON.stringify(Object.fromEntries(this.#winners)));
  }

  /** Name of the variant with the least median time. */
  async #fastest(
    request: DeviceProgram,
    { operation, variants }: Candidates,
    mode: 'quick' | 'full',
    signal: AbortSignal,
  ): Promise<string> {
    const { device, timestamps } = this.#open;
    const alone: IntegerProgram = {
      ...request.program,
      operations: [operation],
      inputs: operation.inputs.map((tensor) => ({ name: '', tensor, fileDtype: 'int8' })),
      outputs: [{ name: '', tensor: operation.output, activation: 'none', shape: [] }],
    };
    const stopwatch = createStopwatch(device, timestamps);
    const prepared: { readonly name: string; readonly plan: PreparedPlan }[] = [];
    try {
      for (const variant of variants.slice(0, effort[mode].variants)) {
        signal.throwIfAborted();
        const plan = planExecution({ ...request, program: alone, keep: [], choose: () => variant });
        prepared.push({
          name: variant.name,
          plan: await preparePlan(device, plan, this.#pipelines, this.#constants),
        });
      }
      const timed = await timeInterleaved(stopwatch, prepared, {
        rounds: effort[mode].rounds,
        encode: (pass, { plan }) => encode(pass, plan.dispatches),
        dropSlowerThan: hopeless,
        signal,
      });
      const inTheEnd = timed.filter(({ samples }) => samples.length === effort[mode].rounds);
      inTheEnd.sort((a, b) => median(a.samples) - median(b.samples));
      return inTheEnd[0].item.name;
    } finally {
      stopwatch.dispose();
      for (const { plan } of prepared) plan.dispose();
    }
  }

  async #recall(): Promise<void> {
    const text = await platform.recall(this.#memoryKey());
    if (text === undefined) return;
    try {
      // A name that no variant has any more is passed over by `choose` and timed again by `tune`.
      for (const [key, winner] of Object.entries(JSON.parse(text) as Record<string, Winner>)) {
        this.#winners.set(key, winner);
      }
    } catch {
      // Someone else's text: tune again and write over it.
    }
  }

  /** Adapter, driver (as far as it is told: browsers tie theirs to their version) and Octet version; shapes are inside. */
  #memoryKey(): string {
    const { vendor, architecture, device, description } = this.#open.adapter;
    const engine = typeof navigator === 'undefined' ? '' : navigator.userAgent;
    return ['tuning', version, vendor, architecture, device, description, engine].join('|');
  }
}
