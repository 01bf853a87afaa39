import * as Comlink from 'comlink';
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { ProgressEvent } from 'octetjs';
import { SteadyButton } from '../components/steady-button.tsx';
import { LevelsPlot } from '../components/levels-plot.tsx';
import { asJob, isAbort } from '../engine/jobs.ts';
import * as format from '../format.ts';
import { cancelLab, floatDownloadBytes, lab, labState, openLab } from '../lab/client.ts';
import type { BitsResult, ChannelWeights, WeightedLayer } from '../lab/protocol.ts';
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

/** All pairs, in an order that shows the whole picture early: every second row and column first. */
const MAP = BITS.flatMap((weights) => BITS.map((activations) => ({ weights, activations }))).sort(
  (a, b) => turnOf(a) - turnOf(b),
);

function turnOf({
  weights,
  activations,
}: {
  readonly weights: number;
  readonly activations: number;
}): number {
  return (weights % 2) + (activations % 2);
}

/** Tries these pairs one after another, except those whose results are known. A newer call ends the one before. */
async function tryPairs(pairs: readonly { weights: number; activations: number }[]): Promise<void> {
  const pictures = sheet.peek();
  if (!pictures) return;
  running.peek()?.controller.abort();
  const controller = new AbortController();
  running.value = { controller, event: null };
  try {
    await openLab();
    // The first ones: the sheet is in the order of no class.
    const labels = Array.from({ length: SAMPLE }, (_, index) => pictures.labels[index]);
    const data = await pictures.allPixels(SAMPLE);
    for (const { weights, activations } of pairs) {
      if (results.peek().has(key(weights, activations))) continue;
      controller.signal.throwIfAborted();
      weightBits.value = weights;
      activationBits.value = activations;
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
    }
  } catch (error) {
    if (!isAbort(error)) notice.value = messageOf(error);
  } finally {
    if (running.peek()?.controller === controller) running.value = null;
  }
}

const tryBits = (weights: number, activations: number) => tryPairs([{ weights, activations }]);

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
            disabled={!busy && results.value.size === MAP.length}
            onClick={() => (busy ? busy.controller.abort() : void tryPairs(MAP))}
          />
        ) : (
          <SteadyButton
            class="primary"
            label={state.status === 'loading' ? 'Cancel' : load}
            others={['Cancel', load]}
            disabled={!sheet.value}
            onClick={() => (state.status === 'loading' ? cancelLab() : void tryBits(weights, activations))}
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
      {open && <WeightLevels bits={weights} tried={result} />}
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
    const { event } = busy;
    const bits = `${weights}-bit weights, ${activations}-bit activations`;
    if (event?.stage === 'calibrate') return `Calibrating: ${event.done} of ${event.total} pictures`;
    if (event?.stage === 'evaluate') return `${bits}: ${event.done} of ${event.total} pictures`;
    return `${bits}…`;
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
          <td class="corner" />
          <td class="axis muted" colSpan={BITS.length}>
            Weights down, activations across: percent right
          </td>
        </tr>
        <tr>
          <td class="corner" />
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

/** The float weights of one channel of a layer, and the few values that so many bits leave of them. */
function WeightLevels({ bits, tried }: { readonly bits: number; readonly tried: BitsResult | undefined }) {
  const [layers, setLayers] = useState<readonly WeightedLayer[]>([]);
  const [name, setName] = useState('');
  const [channel, setChannel] = useState(0);
  const [weights, setWeights] = useState<ChannelWeights | null>(null);
  useEffect(
    () =>
      whileWanted(lab.layers(), (list) => {
        setLayers(list);
        setName(list[0]?.name ?? '');
      }),
    [],
  );
  // Asked for again once the bits have been tried: only then are there scales.
  useEffect(
    () => (name === '' ? undefined : whileWanted(lab.channelWeights(name, channel, bits), setWeights)),
    [name, channel, bits, tried],
  );
  const channels = layers.find((layer) => layer.name === name)?.channels ?? 1;
  const levels = 2 ** bits - 1;
  const title = `${levels} values are left`;
  return (
    <section class="subview" aria-labelledby="levels-title">
      <div class="subview-head">
        <h3 id="levels-title">{title}</h3>
        <div class="fields">
          <label class="field">
            <span>Layer</span>
            <select
              value={name}
              onChange={(event) => {
                setName(event.currentTarget.value);
                setChannel(0);
              }}
            >
              {layers.map((layer) => (
                <option key={layer.name} value={layer.name}>
                  {layer.name}
                </option>
              ))}
            </select>
          </label>
          <label class="field">
            <span class="channel-name">Channel {channel}</span>
            <input
              type="range"
              min={0}
              max={channels - 1}
              value={channel}
              onInput={(event) => setChannel(Number(event.currentTarget.value))}
            />
          </label>
        </div>
      </div>
      <p class="lead">
        Each output channel has a scale of its own, so each has its own {levels} values (lines). Bars: the
        float weights of this channel.
      </p>
      <LevelsPlot
        weights={weights}
        label={`Histogram of the float weights of channel ${channel} of ${name || 'a layer'}, with the levels of ${bits} bits as lines`}
      />
      <p class="muted readout" aria-hidden="true">
        {weights &&
          `${format.count(weights.count)} weights; one step is ${weights.scale.toPrecision(3)}, integers from −${weights.most} to ${weights.most}.`}
      </p>
    </section>
  );
}

/** Hands on an answer unless it has become unwanted; returns what an effect returns. */
function whileWanted<T>(answer: Promise<T>, hear: (value: T) => void): () => void {
  let wanted = true;
  answer.then(
    (value) => {
      if (wanted) hear(value);
    },
    (error: unknown) => {
      if (wanted) notice.value = messageOf(error);
    },
  );
  return () => {
    wanted = false;
  };
}
