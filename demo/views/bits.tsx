import * as Comlink from 'comlink';
import { computed, signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { ProgressEvent } from 'octetjs';
import resnet20 from '../../bench/results/bits/resnet20.json' with { type: 'json' };
import resnet20Reconstructed from '../../bench/results/bits/resnet20-reconstructed.json' with { type: 'json' };
import vgg16Reconstructed from '../../bench/results/bits/vgg16-reconstructed.json' with { type: 'json' };
import vgg16 from '../../bench/results/bits/vgg16.json' with { type: 'json' };
import { asked, keepInAddress } from '../address.ts';
import { SteadyButton } from '../components/steady-button.tsx';
import { LevelsPlot } from '../components/levels-plot.tsx';
import { asJob, isAbort } from '../engine/jobs.ts';
import * as format from '../format.ts';
import { cancelLab, floatDownload, floatFile, lab, labState, openLab } from '../lab/client.ts';
import type { BitsResult, ChannelWeights, WeightedLayer } from '../lab/protocol.ts';
import { testLabels, testSheet } from '../pictures/sheet.ts';
import { inUse, messageOf, notice } from '../state.ts';

const BITS = [8, 6, 5, 4, 3, 2];
const SAMPLE = 100;

/** What `octet sweep` measured on all 1,000 test pictures, by the models' ids. */
const MEASURED: Readonly<Record<string, typeof resnet20 | undefined>> = { resnet20, vgg16 };
/** Top-1 of weights that are rounded by their layers (scripts/bits-table.ts). */
const RECONSTRUCTED: Readonly<Record<string, typeof resnet20Reconstructed | undefined>> = {
  resnet20: resnet20Reconstructed,
  vgg16: vgg16Reconstructed,
};

/** `?bits=4/8` in the address: of weights and activations. */
const [askedWeights, askedActivations] = (asked('bits') ?? '').split('/').map(Number);
const weightBits = signal(BITS.includes(askedWeights) ? askedWeights : 8);
const activationBits = signal(BITS.includes(askedActivations) ? askedActivations : 8);
keepInAddress('bits', () =>
  weightBits.value === 8 && activationBits.value === 8 ? null : key(weightBits.value, activationBits.value),
);

/** Weights of so few bits are rounded by what their layers compute where the visitor asks for it. */
const RECONSTRUCTED_BITS = 4;
const reconstructs = signal(false);
const isReconstructed = (weights: number) => reconstructs.value && weights <= RECONSTRUCTED_BITS;

/** What was tried here, of the float model `of`. */
const tried = signal<{ readonly of: string; readonly results: ReadonlyMap<string, BitsResult> }>({
  of: '',
  results: new Map(),
});
const results = computed(() =>
  tried.value.of === floatFile.value?.url ? tried.value.results : (new Map() as typeof tried.value.results),
);
const running = signal<{ readonly controller: AbortController; readonly event: ProgressEvent | null } | null>(
  null,
);

function key(weights: number, activations: number): string {
  return `${weights}/${activations}`;
}

/** Under which a result is kept: reconstructed weights are others. */
function resultKey(weights: number, activations: number): string {
  return key(weights, activations) + (isReconstructed(weights) ? ' reconstructed' : '');
}

/** Share that is right: as tried here, else as measured, which is of weights rounded to the nearest. */
function shareRight(weights: number, activations: number): number | null {
  const here = results.value.get(resultKey(weights, activations));
  if (here) return here.correct / here.total;
  if (isReconstructed(weights)) return null;
  const model = inUse.value;
  const table = model && floatFile.value && MEASURED[model.network];
  const entry = table?.results.find(
    (found) => found.weights === weights && found.activations === activations,
  );
  return entry?.result ?? null;
}

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
  running.peek()?.controller.abort();
  const controller = new AbortController();
  running.value = { controller, event: null };
  try {
    await openLab();
    // The first ones: the sheet is in the order of no class. A visitor's own model has pictures of its own.
    const pictures = inUse.peek()
      ? { data: await testSheet.allPixels(SAMPLE), labels: testLabels.slice(0, SAMPLE) }
      : null;
    const of = floatFile.peek()?.url ?? '';
    for (const { weights, activations } of pairs) {
      const name = resultKey(weights, activations);
      if (results.peek().has(name)) continue;
      controller.signal.throwIfAborted();
      weightBits.value = weights;
      activationBits.value = activations;
      const result = await asJob(lab, controller.signal, (job) =>
        lab.tryBits(
          job,
          { weights, activations, reconstruct: isReconstructed(weights) },
          pictures,
          Comlink.proxy((event) => {
            if (running.peek()?.controller === controller) running.value = { controller, event };
          }),
        ),
      );
      tried.value = { of, results: new Map(results.peek()).set(name, result) };
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
  const result = results.value.get(resultKey(weights, activations));
  const share = shareRight(weights, activations);
  const busy = running.value;
  const load = `Load the float model (${format.bytes(floatDownload.value)})`;
  return (
    <section class="view" aria-labelledby="bits-title">
      <div class="view-head">
        <h2 id="bits-title">How few bits are enough?</h2>
        <p class="lead">{lead()}</p>
      </div>
      <div class="run-line">
        {open ? (
          <SteadyButton
            label={busy ? 'Cancel' : 'Fill the map'}
            others={['Cancel', 'Fill the map']}
            disabled={
              !busy && MAP.every((pair) => results.value.has(resultKey(pair.weights, pair.activations)))
            }
            onClick={() => (busy ? busy.controller.abort() : void tryPairs(MAP))}
          />
        ) : (
          <SteadyButton
            class="primary"
            label={state.status === 'loading' ? 'Cancel' : load}
            others={['Cancel', load]}
            disabled={!floatFile.value}
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
            onChange={(value) => {
              weightBits.value = value;
              if (open) void tryBits(value, activations);
            }}
          />
          <BitsSlider
            name="Activations"
            value={activations}
            onChange={(value) => {
              activationBits.value = value;
              if (open) void tryBits(weights, value);
            }}
          />
          <label class="switch">
            <input
              type="checkbox"
              role="switch"
              checked={reconstructs.value}
              onChange={(event) => {
                reconstructs.value = event.currentTarget.checked;
                if (open) void tryBits(weights, activations);
              }}
            />
            <span>Round {RECONSTRUCTED_BITS} bits and fewer by what each layer computes</span>
            <span class="muted">Slower</span>
          </label>
          <p class="big-figure">
            <strong>{share === null ? '–' : format.percent(share, result ? 0 : 1)}</strong>
            <span class="muted">
              {result
                ? `${result.correct} of ${result.total} right; quantized in ${format.milliseconds(result.quantizeMs)}`
                : share === null
                  ? `right, of ${SAMPLE}`
                  : 'right, of 1,000 (octet sweep)'}
            </span>
          </p>
        </div>
        <BitsMap open={open} />
      </div>
      <Reconstructed />
      {open && <WeightLevels bits={weights} tried={result} />}
    </section>
  );

  function lead(): string {
    if (!floatFile.value)
      return 'This file is quantized already. Open its float model under “Your model”, and choose its bits here.';
    const again = 'quantized again here, to the bits you choose';
    if (!inUse.value) {
      return `Your float model is ${again}. Shares are of your pictures: the same answer as in float.`;
    }
    const { network, float } = inUse.value;
    const name = float
      ? ''
      : ' This model was trained with its bits; the table is of ResNet-20 quantized afterwards.';
    return MEASURED[network]
      ? `Measured on all 1,000 test pictures. Load the float model, and it is ${again}, and classifies ${SAMPLE} of them.${name}`
      : `The float model is ${again}, and classifies ${SAMPLE} test pictures.`;
  }

  function describe(): string {
    if (state.status === 'loading') {
      return state.event?.stage === 'fetch'
        ? `${format.bytes(state.event.loaded)} of ${format.bytes(state.event.total ?? floatDownload.value)}`
        : 'Starting ONNX Runtime…';
    }
    if (state.status === 'failed') return state.message;
    if (!busy) return '';
    const { event } = busy;
    const bits = `${weights}-bit weights, ${activations}-bit activations`;
    if (event?.stage === 'calibrate') return `Calibrating: ${event.done} of ${event.total} pictures`;
    if (event?.stage === 'quantize' && event.item) {
      return `${bits}: rounding layer ${event.done + 1} of ${event.total}`;
    }
    if (event?.stage === 'evaluate') return `${bits}: ${event.done} of ${event.total} pictures`;
    return `${bits}…`;
  }
}

/** What weights rounded by their layers keep, on all test pictures. */
function Reconstructed() {
  const model = inUse.value;
  const reconstructed = model && RECONSTRUCTED[model.network];
  if (!reconstructed) return null;
  return (
    <p class="muted">
      The table is of weights rounded to the nearest. <code>octet quantize</code> rounds those of 4 bits and
      fewer by what their layer computes, and keeps more of {model.title}, on{' '}
      {format.count(reconstructed.images)} pictures (bits of weights and activations):{' '}
      {reconstructed.results
        .map(({ weights, activations, result }) => `${weights} and ${activations}, ${format.percent(result)}`)
        .join('; ')}
      .
    </p>
  );
}

function BitsSlider({
  name,
  value,
  onChange,
}: {
  readonly name: string;
  readonly value: number;
  readonly onChange: (value: number) => void;
}) {
  return (
    <label class="bits-slider">
      <span>{name}</span>
      <span class="bits-value">{value} bits</span>
      <input
        type="range"
        min={0}
        max={BITS.length - 1}
        value={BITS.length - 1 - BITS.indexOf(value)}
        aria-valuetext={`${value} bits`}
        onChange={(event) => onChange(BITS[BITS.length - 1 - Number(event.currentTarget.value)])}
      />
    </label>
  );
}

/** What has been tried so far: weights down, activations across. */
function BitsMap({ open }: { readonly open: boolean }) {
  const here = results.value;
  return (
    <table class="bits-map" aria-label="Accuracy by bits">
      <thead>
        <tr>
          <td class="corner" />
          <td class="axis muted" colSpan={BITS.length}>
            Weights down, activations across: percent right. Dotted: tried here
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
              const share = shareRight(weights, activations);
              const triedHere = here.has(resultKey(weights, activations));
              const chosenCell = weights === weightBits.value && activations === activationBits.value;
              return (
                <td key={activations}>
                  <button
                    type="button"
                    class={share === null ? undefined : triedHere ? 'known here' : 'known'}
                    aria-pressed={chosenCell}
                    aria-label={`${weights}-bit weights, ${activations}-bit activations${share === null ? '' : `: ${format.percent(share, 0)}${triedHere ? ', tried here' : ''}`}`}
                    style={{ '--share': (share ?? 0).toFixed(3) }}
                    onClick={() => {
                      weightBits.value = weights;
                      activationBits.value = activations;
                      if (open) void tryBits(weights, activations);
                    }}
                  >
                    {share === null ? '' : Math.round(share * 100)}
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
