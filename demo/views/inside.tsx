import * as Comlink from 'comlink';
import { signal } from '@preact/signals';
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import type { Profile, ProgressEvent } from 'octetjs';
import type { Convolution } from '../components/convolution.tsx';
import { ChannelGrid, strongestChannels } from '../components/channel-grid.tsx';
import { Figure } from '../components/figure.tsx';
import { Histogram } from '../components/histogram.tsx';
import { MemoryPlanPicture } from '../components/memory-plan.tsx';
import { PixelCanvas } from '../components/pixel-canvas.tsx';
import { SteadyButton } from '../components/steady-button.tsx';
import { useJob } from '../components/use-job.ts';
import { engine } from '../engine/client.ts';
import { asJob } from '../engine/jobs.ts';
import type { Activation, IntegerHistogram, LayerInfo, ModelInfo, Place } from '../engine/protocol.ts';
import { addressedIndex } from '../address.ts';
import * as format from '../format.ts';
import { chosen, info, messageOf, notice, type ChosenPicture } from '../state.ts';

const graph = signal<{ readonly of: ModelInfo; readonly html: string } | null>(null);
const selectedLayer = addressedIndex('layer');
const profile = signal<{ readonly of: ModelInfo; readonly result: Profile } | null>(null);

/** The report that `octet inspect --html` writes, of the model in use. */
function Graph({ network }: { readonly network: ModelInfo }) {
  const job = useJob();
  const html = graph.value?.of === network ? graph.value.html : null;
  return (
    <section class="subview" aria-labelledby="graph-title">
      <div class="subview-head">
        <h3 id="graph-title">The graph, and what each node becomes</h3>
        <SteadyButton
          label={job.running ? 'Drawing…' : 'Draw the graph'}
          others={['Drawing…', 'Draw the graph']}
          disabled={job.running || html !== null}
          onClick={() =>
            job.start(async () => {
              graph.value = { of: network, html: await engine.report() };
            })
          }
        />
      </div>
      {html !== null && <iframe class="graph-frame" title="Graph of the network" srcdoc={html} />}
    </section>
  );
}

export function Inside() {
  const network = info.value;
  const picture = chosen.value;
  const activations = useActivations(network, picture);
  return (
    <section class="view" aria-labelledby="inside-title">
      <div class="view-head">
        <h2 id="inside-title">What each layer sees</h2>
        <p class="lead">
          What the chosen picture becomes on its way: the integers of the run itself, read back. Choose a
          layer.
        </p>
      </div>
      {network ? (
        <>
          <LayerStrip network={network} picture={picture} activations={activations} />
          <LayerDetail network={network} picture={picture} activations={activations} />
          <LayerTable network={network} />
          <Graph network={network} />
          <section class="subview" aria-labelledby="memory-title">
            <h3 id="memory-title">Memory</h3>
            <p class="lead">
              Activations share {format.bytes(network.memory.peakBytes)}: where each tensor lies, step by
              step.
            </p>
            <MemoryPlanPicture plan={network.memory} steps={network.layers.map(({ title }) => title)} />
          </section>
        </>
      ) : (
        <div class="strip" />
      )}
    </section>
  );
}

/** All tensors of a run on the chosen picture, by name; those of the picture before until the new ones are there. */
function useActivations(
  network: ModelInfo | null,
  picture: ChosenPicture | null,
): ReadonlyMap<string, Activation> | null {
  const [state, setState] = useState<{ of: ModelInfo; map: ReadonlyMap<string, Activation> } | null>(null);
  useEffect(() => {
    if (!network || !picture) return;
    let current = true;
    engine.activations(picture.pixels).then(
      (list) => {
        if (current)
          setState({ of: network, map: new Map(list.map((activation) => [activation.name, activation])) });
      },
      (error: unknown) => {
        if (current) notice.value = messageOf(error);
      },
    );
    return () => {
      current = false;
    };
  }, [network, picture]);
  return state?.of === network ? (state?.map ?? null) : null;
}

function LayerStrip({
  network,
  picture,
  activations,
}: {
  readonly network: ModelInfo;
  readonly picture: ChosenPicture | null;
  readonly activations: ReadonlyMap<string, Activation> | null;
}) {
  return (
    <div class="strip" role="group" aria-label="Layers" tabIndex={0}>
      <div class="strip-layer">
        <div class="strip-picture">
          {picture && <PixelCanvas pixels={picture.pixels} label="The chosen picture" />}
        </div>
        <span class="strip-title">picture</span>
        <span class="muted">{format.shape([network.input.height, network.input.width, 3])}</span>
      </div>
      {network.layers.map((layer, index) => {
        const activation = activations?.get(layer.outputTensor);
        return (
          <button
            key={layer.name}
            type="button"
            class="strip-layer"
            aria-pressed={selectedLayer.value === index}
            aria-label={`${layer.name}: ${layer.title}, ${format.shape(layer.outputShape)}`}
            onClick={() => (selectedLayer.value = index)}
          >
            <span class="strip-picture">{activation && <Thumbnail activation={activation} />}</span>
            <span class="strip-title">{layer.title}</span>
            <span class="muted">{format.shape(layer.outputShape)}</span>
          </button>
        );
      })}
    </div>
  );
}

function Thumbnail({ activation }: { readonly activation: Activation }) {
  const [height, width] = activation.shape;
  const channels = useMemo(
    () => (height * width === 1 ? undefined : strongestChannels(activation, 9)),
    [activation, height, width],
  );
  return <ChannelGrid activation={activation} channels={channels} label={null} aspect={1} />;
}

function LayerDetail({
  network,
  picture,
  activations,
}: {
  readonly network: ModelInfo;
  readonly picture: ChosenPicture | null;
  readonly activations: ReadonlyMap<string, Activation> | null;
}) {
  const layer = network.layers[Math.min(selectedLayer.value, network.layers.length - 1)];
  const activation = activations?.get(layer.outputTensor) ?? null;
  const [channel, setChannel] = useState<number | null>(null);
  const [point, setPoint] = useState<Place | null>(null);
  const [explained, setExplained] = useState<Place | null>(null);
  const channels = layer.outputShape[2];
  const strongest = useMemo(() => (activation ? strongestChannels(activation, 1)[0] : 0), [activation]);
  const shownChannel = Math.min(channel ?? strongest, channels - 1);
  // Another layer's channels have nothing to do with these.
  useEffect(() => {
    setChannel(null);
    setExplained(null);
  }, [layer]);
  const isConvolution = layer.kind === 'conv2d';
  return (
    <section class="detail" aria-labelledby="detail-title">
      <div class="detail-picture">
        <div>
          <h3 id="detail-title">{layer.title}</h3>
          {/* Above the picture, whose height differs from layer to layer. */}
          <p class="muted readout" aria-hidden="true">
            {activation && point
              ? `${readout(activation, point)}${classOf(network, layer, point.channel)}`
              : isConvolution
                ? 'Point at a value to read it; choose it to see how it came about.'
                : 'Point at a value to read it.'}
          </p>
          <p class="legend muted" aria-hidden="true">
            <span>below zero</span>
            <span class="legend-ramp" />
            <span>above</span>
          </p>
          {isConvolution && !explained && (
            <button
              type="button"
              class="plain inline"
              onClick={() => setExplained(centreOf(layer, shownChannel))}
            >
              How does one of these bytes come about?
            </button>
          )}
        </div>
        {activation ? (
          <ChannelGrid
            activation={activation}
            label={`${channels} channels of ${layer.name}, each ${layer.outputShape[0]} by ${layer.outputShape[1]}`}
            selected={shownChannel}
            onPoint={setPoint}
            onSelect={(at) => {
              setChannel(at.channel);
              if (isConvolution) setExplained(at);
            }}
          />
        ) : (
          <div class="channel-grid empty" />
        )}
        {explained && picture && (
          <Explained layer={layer} pixels={picture.pixels} at={explained} onMove={setExplained} />
        )}
      </div>
      <div class="detail-facts">
        <dl class="facts">
          <Figure name="From" value={format.shape(layer.inputShape)} />
          <Figure
            name="To"
            value={`${format.shape(layer.outputShape)}, ${format.bytes(layer.outputBytes)}`}
          />
          <Figure name="Multiply-adds" value={layer.macs ? format.magnitude(layer.macs) : 'none'} />
          <Figure name="Weights" value={layer.weights ? format.magnitude(layer.weights) : 'none'} />
          {layer.variant && <Figure name="Kernel" value={layer.variant} />}
        </dl>
        <ActivationHistogram
          className={classOf(network, layer, shownChannel)}
          activation={activation}
          channel={shownChannel}
          channels={channels}
          onChannel={setChannel}
        />
        <WeightHistogram layer={layer} />
      </div>
    </section>
  );
}

function centreOf({ outputShape: [height, width] }: LayerInfo, channel: number): Place {
  return { channel, row: Math.floor(height / 2), column: Math.floor(width / 2) };
}

type Explain = typeof Convolution;

/** Fetched when somebody wants to know. */
function Explained(props: Parameters<Explain>[0]) {
  const [Loaded, setLoaded] = useState<Explain | null>(null);
  useEffect(() => {
    import('../components/convolution.tsx').then(
      (module) => setLoaded(() => module.Convolution),
      (error: unknown) => (notice.value = messageOf(error)),
    );
  }, []);
  return Loaded && <Loaded {...props} />;
}

function readout(activation: Activation, { channel, row, column }: Place) {
  const [, width, channels] = activation.shape;
  const q = activation.data[(row * width + column) * channels + channel];
  const real = activation.scale * (q - activation.zeroPoint);
  return `Channel ${channel}, row ${row}, column ${column}: integer ${q}, which stands for ${real.toPrecision(3)}`;
}

/** What the last layer's channels are scores of. */
function classOf({ layers, labels }: ModelInfo, layer: LayerInfo, channel: number): string {
  const [height, width, channels] = layer.outputShape;
  const isScores = layer === layers.at(-1) && height * width === 1 && channels === labels.length;
  return isScores ? `, for ${labels[channel]}` : '';
}

function ActivationHistogram({
  className,
  activation,
  channel,
  channels,
  onChannel,
}: {
  /** Of the channel, where it stands for a class. */
  readonly className: string;
  readonly activation: Activation | null;
  readonly channel: number;
  readonly channels: number;
  readonly onChannel: (channel: number) => void;
}) {
  const all = useMemo(() => activation && histogramOf(activation, null), [activation]);
  const one = useMemo(() => activation && histogramOf(activation, channel), [activation, channel]);
  const toReal = useCallback(
    (q: number) => (activation ? activation.scale * (q - activation.zeroPoint) : q),
    [activation],
  );
  return (
    <div class="histogram">
      <h4>
        Activations{' '}
        <span class="muted">by {activation?.data instanceof Int8Array ? 'value' : 'integer'}</span>
      </h4>
      <Histogram
        histogram={all}
        highlight={one}
        toReal={activation?.data instanceof Int8Array ? toReal : null}
        label="How often each integer occurs among the activations of the layer; those of the chosen channel stand out"
      />
      <label class="field wide">
        <span>
          Channel {channel}
          {className}
        </span>
        <input
          type="range"
          min={0}
          max={channels - 1}
          value={channel}
          onInput={(event) => onChannel(Number(event.currentTarget.value))}
        />
      </label>
    </div>
  );
}

function histogramOf({ data, shape: [, , channels] }: Activation, channel: number | null): IntegerHistogram {
  let [min, max] = [Infinity, -Infinity];
  const step = channel === null ? 1 : channels;
  for (let index = channel ?? 0; index < data.length; index += step) {
    min = Math.min(min, data[index]);
    max = Math.max(max, data[index]);
  }
  // int32 logits span millions: they get bins of equal width instead of one a value.
  const counts = new Uint32Array(Math.min(max - min + 1, 256));
  const width = (max - min + 1) / counts.length;
  for (let index = channel ?? 0; index < data.length; index += step) {
    counts[Math.floor((data[index] - min) / width)]++;
  }
  return { min, counts };
}

function WeightHistogram({ layer }: { readonly layer: LayerInfo }) {
  const [histogram, setHistogram] = useState<IntegerHistogram | null>(null);
  useEffect(() => {
    let current = true;
    setHistogram(null);
    void engine.weightHistogram(layer.name).then((result) => {
      if (current) setHistogram(result);
    });
    return () => {
      current = false;
    };
  }, [layer]);
  if (layer.weights === 0) return null;
  return (
    <div class="histogram">
      <h4>
        Weights <span class="muted">by integer</span>
      </h4>
      <Histogram
        histogram={histogram}
        toReal={null}
        label="How often each integer from −127 to 127 occurs among the weights of the layer"
      />
    </div>
  );
}

function LayerTable({ network }: { readonly network: ModelInfo }) {
  const job = useJob();
  const [progress, setProgress] = useState('');
  const measured = profile.value?.of === network ? profile.value.result : null;
  const longest = Math.max(...(measured?.operations.map(({ ms }) => ms) ?? [1]));

  async function measure(signal: AbortSignal): Promise<void> {
    setProgress('');
    const onProgress = (event: ProgressEvent) => {
      if (event.stage !== 'fetch') setProgress(` (${event.done} of ${event.total})`);
    };
    const result = await asJob(engine, signal, (number) => engine.profile(number, Comlink.proxy(onProgress)));
    profile.value = { of: network, result };
  }

  return (
    <section class="subview" aria-labelledby="layers-title">
      <div class="subview-head">
        <h3 id="layers-title">Layers and their cost</h3>
        <SteadyButton
          label={job.running ? `Cancel${progress}` : measured ? 'Measure again' : 'Measure each layer'}
          others={['Cancel (00 of 00)', 'Measure each layer']}
          onClick={() => (job.running ? job.cancel() : job.start(measure))}
        />
      </div>
      <div class="table-scroll" role="region" aria-label="Table of layers" tabIndex={0}>
        <table class="layers">
          <thead>
            <tr>
              <th scope="col">Layer</th>
              <th scope="col">Output</th>
              <th scope="col" class="number">
                Multiply-adds
              </th>
              <th scope="col" class="number">
                Weights
              </th>
              <th scope="col" class="number">
                Time
              </th>
              <th scope="col">
                <span class="visually-hidden">Time as a bar</span>
              </th>
              <th scope="col" class="number">
                GMAC/s
              </th>
              <th scope="col" class="number">
                Of peak
              </th>
            </tr>
          </thead>
          <tbody>
            {network.layers.map((layer, index) => {
              const time = measured?.operations[index];
              return (
                <tr key={layer.name} class={index === selectedLayer.value ? 'selected' : undefined}>
                  <th scope="row">{layer.title}</th>
                  <td>{format.shape(layer.outputShape)}</td>
                  <td class="number">{layer.macs ? format.magnitude(layer.macs) : '–'}</td>
                  <td class="number">{layer.weights ? format.magnitude(layer.weights) : '–'}</td>
                  <td class="number">{time ? format.milliseconds(time.ms) : '–'}</td>
                  <td class="bar-cell">
                    <span class="bar" aria-hidden="true">
                      <span style={{ transform: `scaleX(${time ? time.ms / longest : 0})` }} />
                    </span>
                  </td>
                  <td class="number">{time && layer.macs ? time.gmacsPerSecond.toFixed(1) : '–'}</td>
                  <td class="number">
                    {layer.macs && typeof time?.shareOfPeak === 'number'
                      ? format.percent(time.shareOfPeak, 0)
                      : '–'}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {measured && (
        <p class="muted">
          Median of {measured.repetitions} runs, {format.milliseconds(measured.totalMs)} in all, by{' '}
          {
            { 'timestamp-query': 'GPU timestamps', repetition: 'repetition', clock: 'the clock' }[
              measured.method
            ]
          }
          . Peak measured on this device: {describePeak(measured)}.
        </p>
      )}
    </section>
  );
}

function describePeak({ peak }: Profile): string {
  const parts = Object.entries(peak).map(([family, gmacs]) => `${family} ${gmacs.toFixed(1)} GMAC/s`);
  return parts.join(', ') || 'none, on this backend';
}
