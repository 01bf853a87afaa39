import * as Comlink from 'comlink';
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { ProgressEvent } from 'octet';
import { SteadyButton } from '../components/steady-button.tsx';
import { LevelsPlot } from '../components/levels-plot.tsx';
import { asJob, isAbort } from '../engine/jobs.ts';
import * as format from '../format.ts';
import { floatDownloadBytes, lab, labState, openLab } from '../lab/client.ts';
import type { BitsResult, FloatWeights } from '../lab/protocol.ts';
import { messageOf, notice, sheet } from '../state.ts';

const BITS = [8, 7, 6, 5, 4, 3, 2];
const SAMPLE = 100;

const weightBits = signal(8);
const activationBits = signal(8);
const results = signal<ReadonlyMap<string, BitsResult>>(new Map());
const running = signal<{ readonly controller: AbortController; readonly event: ProgressEvent | null } | null>(
  null,
);

const key = (weights: number, activations: number) => `${weights}/${activations}`;

/** Tries one pair of bit widths, unless its result is known. One try at a time: a newer one ends the one before. */
async function tryBits(weights: number, activations: number): Promise<void> {
  const pictures = sheet.peek();
  if (!pictures) return;
  running.peek()?.controller.abort();
  if (results.peek().has(key(weights, activations))) {
    running.value = null;
    return;
  }
  const controller = new AbortController();
  running.value = { controller, event: null };
  try {
    await openLab();
    // The first ones: the sheet is in the order of no class.
    const labels = Array.from({ length: SAMPLE }, (_, index) => pictures.labels[index]);
    const data = await pictures.allPixels(SAMPLE);
    const result = await asJob(lab, controller.signal, (job) =>
      lab.tryBits(
        job,
        { weights, activations },
        { data, labels },
        Comlink.proxy((event) => {
          if (running.peek()?.controller === controller) running.value = { controller, event };
        }),
      ),
    );
    results.value = new Map(results.peek()).set(key(weights, activations), result);
  } catch (error) {
    if (!isAbort(error)) notice.value = messageOf(error);
  } finally {
    if (running.peek()?.controller === controller) running.value = null;
  }
}

async function tryAll(): Promise<void> {
  for (const weights of [8, 6, 4, 3, 2]) {
    for (const activations of [8, 6, 4, 3, 2]) {
      const before = running.peek();
      if (before?.controller.signal.aborted) return;
      weightBits.value = weights;
      activationBits.value = activations;
      await tryBits(weights, activations);
    }
  }
}

export function Bits() {
  const [weights, activations] = [weightBits.value, activationBits.value];
  const state = labState.value;
  const open = state.status === 'ready';
  const result = results.value.get(key(weights, activations));
  const busy = running.value;
  const load = `Load the float model (${format.bytes(floatDownloadBytes)})`;
  return (
    <section class="view" aria-labelledby="bits-title">
      <div class="view-head">
        <h2 id="bits-title">How few bits are enough?</h2>
        <p class="lead">
          The float model is quantized again, here in the browser, to the bits you choose, and then classifies{' '}
          {SAMPLE} test pictures.
        </p>
      </div>
      <div class="run-line">
        {open ? (
          <SteadyButton
            label={busy ? 'Cancel' : 'Fill the map'}
            others={['Cancel', 'Fill the map']}
            onClick={() => (busy ? busy.controller.abort() : void tryAll())}
          />
        ) : (
          <SteadyButton
            class="primary"
            label={state.status === 'loading' ? 'Loading…' : load}
            others={['Loading…', load]}
            disabled={state.status === 'loading' || !sheet.value}
            onClick={() => void tryBits(weights, activations)}
          />
        )}
        <p class="muted" role="status">
          {describe()}
        </p>
      </div>
      <div class="bits-columns">
        <div class="bits-controls">
          <BitsSlider
            name="Weights"
            value={weights}
            disabled={!open}
            onChange={(value) => {
              weightBits.value = value;
              void tryBits(value, activations);
            }}
          />
          <BitsSlider
            name="Activations"
            value={activations}
            disabled={!open}
            onChange={(value) => {
              activationBits.value = value;
              void tryBits(weights, value);
            }}
          />
          <p class="big-figure">
            <strong>{result ? format.percent(result.correct / result.total, 0) : '–'}</strong>
            <span class="muted">
              {result
                ? `${result.correct} of ${result.total} right; quantized in ${format.milliseconds(result.quantizeMs)}`
                : `right, of ${SAMPLE}`}
            </span>
          </p>
        </div>
        <BitsMap disabled={!open} />
      </div>
      <WeightLevels bits={weights} open={open} />
    </section>
  );

  function describe(): string {
    if (state.status === 'loading') {
      return state.event?.stage === 'fetch'
        ? `${format.bytes(state.event.loaded)} of ${format.bytes(state.event.total ?? floatDownloadBytes)}`
        : 'Starting ONNX Runtime…';
    }
    if (state.status === 'failed') return state.message;
    if (!busy) return '';
    const event = busy.event;
    if (!event || event.stage === 'fetch') return `${weights}-bit weights, ${activations}-bit activations…`;
    const step = { calibrate: 'Calibrating', quantize: 'Quantizing', evaluate: 'Classifying' }[
      event.stage as string
    ];
    return `${step ?? 'Working'}: ${event.done} of ${event.total}`;
  }
}

function BitsSlider({
  name,
  value,
  disabled,
  onChange,
}: {
  readonly name: string;
  readonly value: number;
  readonly disabled: boolean;
  readonly onChange: (value: number) => void;
}) {
  return (
    <label class="bits-slider">
      <span>{name}</span>
      <span class="bits-value">{value} bits</span>
      <input
        type="range"
        min={2}
        max={8}
        value={value}
        disabled={disabled}
        aria-valuetext={`${value} bits`}
        onChange={(event) => onChange(Number(event.currentTarget.value))}
      />
    </label>
  );
}

/** What has been tried so far: weights down, activations across. */
function BitsMap({ disabled }: { readonly disabled: boolean }) {
  const known = results.value;
  return (
    <table class="bits-map" aria-label="Accuracy by bits">
      <thead>
        <tr>
          <td class="corner">
            <span class="muted">W \ A</span>
          </td>
          {BITS.map((bits) => (
            <th key={bits} scope="col">
              {bits}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {BITS.map((weights) => (
          <tr key={weights}>
            <th scope="row">{weights}</th>
            {BITS.map((activations) => {
              const result = known.get(key(weights, activations));
              const share = result ? result.correct / result.total : 0;
              const chosenCell = weights === weightBits.value && activations === activationBits.value;
              return (
                <td key={activations}>
                  <button
                    type="button"
                    disabled={disabled}
                    class={result ? 'known' : undefined}
                    aria-pressed={chosenCell}
                    aria-label={`${weights}-bit weights, ${activations}-bit activations${result ? `: ${format.percent(share, 0)}` : ''}`}
                    style={{ '--share': share.toFixed(3) }}
                    onClick={() => {
                      weightBits.value = weights;
                      activationBits.value = activations;
                      void tryBits(weights, activations);
                    }}
                  >
                    {result ? Math.round(share * 100) : ''}
                  </button>
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The float weights of a layer, and the few values that so many bits leave of them. */
function WeightLevels({ bits, open }: { readonly bits: number; readonly open: boolean }) {
  const [layers, setLayers] = useState<readonly FloatWeights[]>([]);
  const [name, setName] = useState('');
  useEffect(() => {
    if (!open) return;
    let current = true;
    lab.floatWeights().then(
      (list) => {
        if (!current) return;
        setLayers(list);
        setName(list[0]?.layer ?? '');
      },
      (error: unknown) => {
        if (current) notice.value = messageOf(error);
      },
    );
    return () => {
      current = false;
    };
  }, [open]);
  const layer = layers.find((candidate) => candidate.layer === name);
  if (!open) return null;
  return (
    <section class="subview" aria-labelledby="levels-title">
      <div class="subview-head">
        <h3 id="levels-title">{2 ** bits - 1} values are left of each weight</h3>
        <label class="field">
          <span>Layer</span>
          <select value={name} onChange={(event) => setName(event.currentTarget.value)}>
            {layers.map(({ layer: option }) => (
              <option key={option} value={option}>
                {option}
              </option>
            ))}
          </select>
        </label>
      </div>
      <LevelsPlot layer={layer ?? null} bits={bits} />
    </section>
  );
}
