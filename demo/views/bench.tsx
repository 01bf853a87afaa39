import { signal } from '@preact/signals';
import { useRef, useState } from 'preact/hooks';
import committed from '../../bench/results/engines.json' with { type: 'json' };
import { contenders } from '../../bench/contenders/catalog.ts';
import type { Contender } from '../../bench/contenders/contender.ts';
import { contextBlock, markdownTable } from '../../bench/report.ts';
import type { BenchResult, ContenderResult } from '../../bench/result.ts';
import { SteadyButton } from '../components/steady-button.tsx';
import { useJob } from '../components/use-job.ts';
import { runBenchmark } from '../bench/runner.ts';
import { isAbort } from '../engine/jobs.ts';
import * as format from '../format.ts';
import { testSheet } from '../pictures/sheet.ts';
import { inUse, messageOf, notice } from '../state.ts';

const ROUNDS = 7;
const BATCHES = [1, 8];

const COMMITTED = committed as unknown as BenchResult;

/** The reference is no rival: it is written to be read. Threads need an isolated page. */
const catalog: readonly Contender[] = contenders(
  crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1,
).filter(({ device }) => device !== 'reference' && (device !== 'webgpu' || 'gpu' in navigator));

const DEVICES = [
  { device: 'webgpu', title: 'On the GPU' },
  { device: 'wasm', title: 'On the CPU' },
] as const;

/** Ticked at the start: Octet and ONNX Runtime in int8, each at its best. The others are slow, or large downloads. */
const excluded = signal<ReadonlySet<string>>(
  new Set(
    catalog
      .filter(({ device, library, model, threads }) => {
        const most = Math.max(
          ...catalog.filter((other) => other.device === device).map((other) => other.threads),
        );
        return model !== 'int8' || threads !== most || (device === 'webgpu' && library !== 'octet');
      })
      .map(({ id }) => id),
  ),
);
const result = signal<BenchResult | null>(null);

export function Bench() {
  const place = useRef<HTMLDivElement>(null);
  const job = useJob();
  const [step, setStep] = useState('');
  const chosen = catalog.filter(({ id }) => !excluded.value.has(id));

  async function run(signal: AbortSignal): Promise<void> {
    result.value = null;
    try {
      await runBenchmark({
        contenders: chosen,
        rounds: ROUNDS,
        sheet: testSheet,
        signal,
        place: place.current!,
        onResult: (next) => (result.value = next),
        onStep: setStep,
      });
      setStep('Done.');
    } catch (error) {
      setStep(isAbort(error) ? 'Cancelled.' : '');
      throw error;
    }
  }

  return (
    <section class="view" aria-labelledby="bench-title">
      <div class="view-head">
        <h2 id="bench-title">Against others, on your device</h2>
        <p class="lead">
          The same network in each engine, answers checked first, then {ROUNDS} rounds in random order.
          Engines fetch up to 150 MB, and the page stutters while they run.
          {inUse.value === null && (
            <>
              {' '}
              That network is VGG16; <code>octet bench</code> times yours.
            </>
          )}
        </p>
      </div>
      <div class="engines">
        {DEVICES.map(({ device, title }) => (
          <EngineGroup
            key={device}
            title={title}
            engines={catalog.filter((engine) => engine.device === device)}
            disabled={job.running}
          />
        ))}
      </div>
      <div class="run-line">
        <SteadyButton
          class="primary"
          label={job.running ? 'Cancel' : 'Run the benchmark'}
          others={['Cancel', 'Run the benchmark']}
          disabled={chosen.length === 0}
          onClick={() => (job.running ? job.cancel() : job.start(run))}
        />
        <p class="muted" role="status">
          {step}
        </p>
      </div>
      <div ref={place} class="frames" aria-hidden="true" />
      {result.value && <ResultTable measured={result.value} done={!job.running} />}
      <section class="subview" aria-labelledby="committed-title">
        <h3 id="committed-title">Measured before</h3>
        <p class="lead">
          VGG16 on {COMMITTED.context.cpu}, {COMMITTED.context.cores} cores, {COMMITTED.context.engine}, no
          GPU (WebGPU in software). The README has the same numbers.
        </p>
        <Table measured={COMMITTED} name="Results measured before" />
      </section>
    </section>
  );
}

function EngineGroup({
  title,
  engines,
  disabled,
}: {
  readonly title: string;
  readonly engines: readonly Contender[];
  readonly disabled: boolean;
}) {
  const none = engines.every(({ id }) => excluded.value.has(id));
  function choose(ids: readonly string[], wanted: boolean): void {
    const next = new Set(excluded.value);
    for (const id of ids) {
      if (wanted) next.delete(id);
      else next.add(id);
    }
    excluded.value = next;
  }
  if (engines.length === 0) return null;
  return (
    <fieldset disabled={disabled}>
      <legend>{title}</legend>
      {engines.map(({ id, label }) => (
        <label key={id}>
          <input
            type="checkbox"
            checked={!excluded.value.has(id)}
            onChange={(event) => choose([id], event.currentTarget.checked)}
          />
          <span>{label}</span>
        </label>
      ))}
      <SteadyButton
        class="plain"
        label={none ? 'Choose all' : 'Choose none'}
        others={['Choose all', 'Choose none']}
        disabled={disabled}
        onClick={() =>
          choose(
            engines.map(({ id }) => id),
            none,
          )
        }
      />
    </fieldset>
  );
}

function ResultTable({ measured, done }: { readonly measured: BenchResult; readonly done: boolean }) {
  return (
    <>
      <Table measured={measured} name="Results" />
      <div class="run-line">
        <CopyButton
          title="Copy as Markdown"
          disabled={!done}
          text={() => `${contextBlock(measured)}\n\n${markdownTable(measured)}\n`}
        />
        <CopyButton title="Copy as JSON" disabled={!done} text={() => JSON.stringify(measured, null, 2)} />
      </div>
    </>
  );
}

function Table({ measured, name }: { readonly measured: BenchResult; readonly name: string }) {
  // Bars of one scale: milliseconds a picture, at either batch size.
  const longest = Math.max(
    ...measured.results.flatMap(({ batches = [] }) =>
      batches.map(({ batch, latencyMs }) => (latencyMs?.median ?? 0) / batch),
    ),
  );
  return (
    <div class="table-scroll" role="region" aria-label={name} tabIndex={0}>
      <table class="bench-results">
        <thead>
          <tr>
            <th scope="col">Engine</th>
            <th scope="col" class="number">
              Download
            </th>
            <th scope="col" class="number">
              Load
            </th>
            {BATCHES.map((batch) => (
              <th key={batch} scope="col" class="number">
                Batch {batch}, ms a picture
              </th>
            ))}
            <th scope="col" class="number">
              Same answer
            </th>
          </tr>
        </thead>
        <tbody>
          {measured.results.map((row) => (
            <Row key={row.contender.id} row={row} longest={longest} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({
  row: { contender, failed, load, agreement, batches },
  longest,
}: {
  readonly row: ContenderResult;
  readonly longest: number;
}) {
  if (failed !== undefined) {
    return (
      <tr>
        <th scope="row">{contender.label}</th>
        <td colSpan={BATCHES.length + 3} class="wrong">
          {failed}
        </td>
      </tr>
    );
  }
  return (
    <tr
      class={contender.library === 'octet' ? 'selected' : undefined}
      title={load?.detail ?? contender.settings}
    >
      <th scope="row">{contender.label}</th>
      <td class="number">{load ? format.bytes(load.modelBytes) : '–'}</td>
      <td class="number">{load ? format.milliseconds(load.readyMs + load.firstRunMs) : '–'}</td>
      {BATCHES.map((batch) => {
        const latency = batches?.find((measurement) => measurement.batch === batch)?.latencyMs;
        const each = (ms: number) =>
          ms / batch >= 1000 ? (ms / batch).toFixed(0) : (ms / batch).toPrecision(3);
        return (
          <td key={batch} class="number">
            {latency ? (
              <>
                {each(latency.median)}{' '}
                <span class="muted">
                  ({each(latency.p10)}–{each(latency.p90)})
                </span>
                <span class="bar" aria-hidden="true">
                  <span style={{ transform: `scaleX(${latency.median / batch / longest})` }} />
                </span>
              </>
            ) : (
              '–'
            )}
          </td>
        );
      })}
      <td class="number">{agreement ? `${agreement.same} of ${agreement.of}` : '–'}</td>
    </tr>
  );
}

function CopyButton({
  title,
  disabled,
  text,
}: {
  readonly title: string;
  readonly disabled: boolean;
  readonly text: () => string;
}) {
  const [copied, setCopied] = useState(false);
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text());
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    } catch (error) {
      notice.value = `Nothing was copied: ${messageOf(error)}`;
    }
  }
  return (
    <SteadyButton
      label={copied ? 'Copied' : title}
      others={['Copied', title]}
      disabled={disabled}
      onClick={() => void copy()}
    />
  );
}
