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
import type { Timed } from './stopwatch.ts';
import { platform } from '#platform';

/**
 * `off`: the first variant, which is the default of the adapter's class. `quick`: the best of a few. `full`: the best of all, but for
 * arithmetic families that are hopeless on the device, judged by the likeliest variant of each.
 */
export type TuneMode = 'off' | 'quick' | 'full';

/** How many variants are timed, and how often. */
const effort = {
  quick: { variants: 4, rounds: 3 },
  full: { rounds: 7 },
} as const;

/** A variant that takes this many times the best one's first time is not timed again. */
const hopeless = 2;

/** Variants that are compiled at a time, on the browser's threads. SwiftShader compiles them one by one, and a signal waits for these. */
const compiledAtOnce = { hardware: 8, software: 1 } as const;

interface PreparedVariant {
  readonly variant: GpuVariant;
  readonly plan: PreparedPlan;
}

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
  #revision = 0;
  /** Tunings wait for each other: two at once would time each other. */
  #last: Promise<void>;

  constructor(open: OpenDevice, pipelines: PipelineCache, constants: ConstantCache, mode: TuneMode) {
    this.#open = open;
    this.#pipelines = pipelines;
    this.#constants = constants;
    this.#mode = mode;
    this.#last = mode === 'off' ? Promise.resolve() : this.#recall();
  }

  /** Changes whenever `choose` may. */
  get revision(): number {
    return this.#revision;
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
      if (request.operators.of(operation).stage === 'host') continue;
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
      this.#revision++;
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
    const { device, timestamps, capabilities } = this.#open;
    const alone: IntegerProgram = {
      ...request.program,
      operations: [operation],
      inputs: operation.inputs.map((tensor) => ({ name: '', tensor, fileDtype: 'int8' })),
      outputs: [{ name: '', tensor: operation.output, dtype: 'float32', shape: [] }],
    };
    const stopwatch = createStopwatch(device, timestamps);
    const prepared: PreparedVariant[] = [];
    const prepare = async (some: readonly GpuVariant[]): Promise<void> => {
      const group = compiledAtOnce[capabilities.adapterClass === 'software' ? 'software' : 'hardware'];
      for (let first = 0; first < some.length; first += group) {
        signal.throwIfAborted();
        const settled = await Promise.allSettled(
          some.slice(first, first + group).map(async (variant): Promise<PreparedVariant> => {
            const plan = planExecution({ ...request, program: alone, keep: [], choose: () => variant });
            return { variant, plan: await preparePlan(device, plan, this.#pipelines, this.#constants) };
          }),
        );
        // Those that are ready are kept also where another failed: they are disposed of with the rest.
        for (const result of settled) if (result.status === 'fulfilled') prepared.push(result.value);
        for (const result of settled) if (result.status === 'rejected') throw result.reason;
      }
    };
    const time = (rounds: number): Promise<readonly Timed<PreparedVariant>[]> =>
      timeInterleaved(stopwatch, prepared, {
        rounds,
        encode: (pass, { plan }) => encode(pass, plan.dispatches),
        dropSlowerThan: hopeless,
        signal,
      });
    const { rounds } = effort[mode];
    try {
      if (mode === 'quick') {
        await prepare(variants.slice(0, effort.quick.variants));
      } else {
        const likeliest = likeliestOfEachFamily(variants);
        await prepare(likeliest);
        const promising = promisingFamilies(await time(1));
        await prepare(variants.filter((v) => promising.has(v.family) && !likeliest.includes(v)));
      }
      return fastest(await time(rounds), rounds).variant.name;
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
        this.#revision++;
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

/** The least median of those that were timed in all rounds. */
export function fastest<T>(timed: readonly Timed<T>[], rounds: number): T {
  const inTheEnd = timed.filter(({ samples }) => samples.length === rounds);
  return inTheEnd.reduce((a, b) => (median(b.samples) < median(a.samples) ? b : a)).item;
}

/** Variants come in the order in which they are likely to be the fastest. */
function likeliestOfEachFamily(variants: readonly GpuVariant[]): readonly GpuVariant[] {
  return variants.filter(({ family }, i) => i === variants.findIndex((other) => other.family === family));
}

/** Families of what was not hopeless when it was timed once. */
function promisingFamilies(timed: readonly Timed<PreparedVariant>[]): ReadonlySet<GpuVariant['family']> {
  const least = Math.min(...timed.map(({ samples }) => samples[0]));
  return new Set(
    timed.filter(({ samples }) => samples[0] <= hopeless * least).map(({ item }) => item.variant.family),
  );
}
