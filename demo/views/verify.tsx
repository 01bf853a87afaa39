import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { saveFile } from '../components/download.tsx';
import { FileButton } from '../components/file-button.tsx';
import { adapterName } from '../components/status.tsx';
import { SteadyButton } from '../components/steady-button.tsx';
import { useJob } from '../components/use-job.ts';
import { engine } from '../engine/client.ts';
import { asJob } from '../engine/jobs.ts';
import type { Comparison } from 'octetjs';
import type { GoldenVerification } from 'octetjs/inspect';
import type { ModelInfo } from '../engine/protocol.ts';
import * as format from '../format.ts';
import { firstPicture } from '../pictures/sheet.ts';
import { chosen, goldenPack, info, inUse } from '../state.ts';
import savedResults from 'virtual:site/results';

const verification = signal<{
  readonly of: ModelInfo;
  readonly title: string;
  readonly result: Comparison;
} | null>(null);

const golden = signal<{ readonly of: File; readonly result: GoldenVerification } | null>(null);

const NAMES = { webgpu: 'WebGPU', wasm: 'WebAssembly', reference: 'the reference' } as const;

/** Of when the page was built, until there is one from here. */
function savedVerification(): { readonly title: string; readonly result: Comparison } | null {
  const saved = inUse.value && savedResults[inUse.value.id];
  if (!saved) return null;
  return {
    title: `When this page was built, test picture ${firstPicture.index + 1}`,
    result: saved.comparison,
  };
}

export function Verify() {
  const network = info.value;
  const picture = chosen.value;
  const job = useJob();
  const shown = verification.value?.of === network ? verification.value : savedVerification();
  const compare = `Compare ${network ? NAMES[network.backend] : 'the network'} with the reference`;

  async function verify(signal: AbortSignal): Promise<void> {
    if (!network || !picture) return;
    const result = await asJob(engine, signal, (number) => engine.verify(number, picture.pixels));
    verification.value = { of: network, title: picture.title, result };
  }

  return (
    <section class="view" aria-labelledby="verify-title">
      <div class="view-head">
        <h2 id="verify-title">The same bytes on every device</h2>
        <p class="lead">
          Run the chosen picture here and on the reference, which is plain loops on the CPU, and compare every
          number of every tensor. There is no tolerance: one differing bit would be reported.
        </p>
      </div>
      <div class="run-line">
        <SteadyButton
          class="primary"
          label={job.running ? 'Comparing… Cancel' : compare}
          others={['Comparing… Cancel', compare]}
          disabled={!network || !picture}
          onClick={() => (job.running ? job.cancel() : job.start(verify))}
        />
      </div>
      <div class="outcome" role="status">
        {shown && <Outcome title={shown.title} result={shown.result} />}
      </div>
      {network && <Golden />}
      {network && <Device network={network} />}
      {shown && <Tensors result={shown.result} />}
    </section>
  );
}

/** What another machine computed, run here: a pack that `octet golden` wrote. */
function Golden() {
  const job = useJob();
  const pack = goldenPack.value;
  const found = golden.value?.of === pack ? golden.value : null;
  useEffect(() => {
    if (!pack || golden.peek()?.of === pack) return;
    job.start(async (signal) => {
      const result = await asJob(engine, signal, (number) => engine.verifyPack(number, pack));
      golden.value = { of: pack, result };
    });
  }, [pack]);
  return (
    <section class="subview" aria-labelledby="golden-title">
      <h3 id="golden-title">Against another machine</h3>
      <p>
        Drop a golden pack that <code>octet golden</code> wrote elsewhere: its pictures run here, and every
        tensor must have the same digest.
      </p>
      <FileButton
        title={job.running ? 'Verifying…' : 'Choose a golden pack'}
        label="Golden pack to verify"
        accept=".zip"
        onFile={(file) => (goldenPack.value = file)}
      />
      <div class="outcome golden" role="status">
        {found && (
          <>
            <strong class={found.result.equal ? 'right' : 'wrong'}>
              {found.result.equal ? 'Equal' : 'Not equal'}
            </strong>
            <span>{found.result.line}</span>
          </>
        )}
      </div>
      {found && !found.result.equal && <pre class="report">{found.result.report}</pre>}
    </section>
  );
}

function Outcome({ title, result }: { readonly title: string; readonly result: Comparison }) {
  const values = result.tensors.reduce((sum, tensor) => sum + tensor.elements, 0);
  const differing = result.tensors.filter((tensor) => tensor.differing > 0).length;
  return (
    <>
      <strong class={result.equal ? 'right' : 'wrong'}>{result.equal ? 'Equal' : 'Not equal'}</strong>
      {/* Another result is another line, not one that moves. */}
      <span key={title}>
        {`${title}: ${format.count(values)} values in ${result.tensors.length} tensors, ${NAMES[result.actual]} against ${
          NAMES[result.expected]
        }, ${result.equal ? 'not one differs' : `${differing} tensors differ`}.`}
      </span>
    </>
  );
}

/** Below all else: it is long, and comes late. */
function Tensors({ result }: { readonly result: Comparison }) {
  return (
    <section class="subview" aria-labelledby="tensors-title">
      <h3 id="tensors-title">Tensor by tensor</h3>
      {!result.equal && <pre class="report">{result.report}</pre>}
      <div class="table-scroll" role="region" aria-label="Tensors compared" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Tensor</th>
              <th scope="col">Shape</th>
              <th scope="col" class="number">
                Values
              </th>
              <th scope="col">Result</th>
            </tr>
          </thead>
          <tbody>
            {result.tensors.map((tensor) => (
              <tr key={tensor.name}>
                <th scope="row">{tensor.name}</th>
                <td>{format.shape(tensor.shape.slice(1))}</td>
                <td class="number">{format.count(tensor.elements)}</td>
                <td class={tensor.differing ? 'wrong' : 'right'}>
                  {tensor.differing ? `${format.count(tensor.differing)} differ` : 'equal'}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** What runs the network, in the terms a bug report needs. */
function Device({ network }: { readonly network: ModelInfo }) {
  const { adapter, backend } = network;
  const job = useJob();
  const measured = backend === 'webgpu' ? backend : 'wasm';
  const variants = new Map<string, number>();
  for (const { variant } of network.layers)
    if (variant) variants.set(variant, (variants.get(variant) ?? 0) + 1);
  const families = [
    ...new Set(network.layers.flatMap(({ family }) => (family && family !== 'none' ? [family] : []))),
  ];
  return (
    <section class="subview" aria-labelledby="device-title">
      <h3 id="device-title">What runs it</h3>
      <dl class="facts wide">
        <div>
          <dt>Backend</dt>
          <dd>{NAMES[network.backend]}</dd>
        </div>
        <div>
          <dt>Why</dt>
          <dd>{network.backendReason}</dd>
        </div>
        {adapter && (
          <>
            <div>
              <dt>Adapter</dt>
              <dd>
                {adapterName(adapter)} ({adapter.adapterClass})
              </dd>
            </div>
            <div>
              <dt>Packed dot</dt>
              <dd>{adapter.packedDot.reason}</dd>
            </div>
            <div>
              <dt>Features</dt>
              <dd>{adapter.features.join(', ') || 'none'}</dd>
            </div>
          </>
        )}
        {families.length > 0 && (
          <div>
            <dt>Arithmetic</dt>
            <dd>{families.join(', ')}</dd>
          </div>
        )}
        {variants.size > 0 && (
          <div>
            <dt>Kernels</dt>
            <dd>
              {[...variants].map(([name, times]) => (times > 1 ? `${name} (${times}×)` : name)).join(', ')}
            </dd>
          </div>
        )}
        <div>
          <dt>Loaded in</dt>
          <dd>{format.milliseconds(network.loadMs)}</dd>
        </div>
        <div>
          <dt>On the device</dt>
          <dd>
            {format.bytes(network.constantBytes)} of weights and tables,{' '}
            {format.bytes(network.memory.peakBytes)} of activations
          </dd>
        </div>
      </dl>
      <p>
        A device profile is what <code>octet inspect --target</code> takes: what kernels may use here, and how
        fast this device multiplies and reads memory. Measuring takes a few seconds.
      </p>
      <SteadyButton
        label={job.running ? 'Measuring…' : 'Device profile'}
        others={['Measuring…', 'Device profile']}
        disabled={job.running}
        onClick={() =>
          job.start(async (signal) => {
            const profile = await engine.deviceProfile(measured);
            if (!signal.aborted) saveFile(`${measured}-device.json`, profile);
          })
        }
      />
    </section>
  );
}
