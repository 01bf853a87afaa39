import { useEffect, useRef } from 'preact/hooks';
import type { AdapterDescription, ProgressEvent } from 'octetjs';
import type { BackendChoice, ModelInfo } from '../engine/protocol.ts';
import * as format from '../format.ts';
import { modelById, offered } from '../models.ts';
import { backendChoice, loadModel, model, modelChoice, ownModel } from '../state.ts';
import { FileButton } from './file-button.tsx';

const BACKENDS: Record<BackendChoice, string> = {
  auto: 'Fastest here',
  webgpu: 'GPU (WebGPU)',
  wasm: 'CPU (Wasm)',
  reference: 'Reference',
};

const NAMES = { webgpu: 'WebGPU', wasm: 'WebAssembly', reference: 'the reference' } as const;

/** What runs, on what, and why; while a model loads, how far it is. */
export function Status() {
  const state = model.value;
  return (
    <section class="status" aria-label="Model">
      <div class="controls">
        <ModelMenu />
        <label class="field">
          <span>on</span>
          <select
            aria-label="Run on"
            value={backendChoice.value}
            onChange={(event) =>
              void loadModel(modelChoice.value, event.currentTarget.value as BackendChoice)
            }
          >
            {Object.entries(BACKENDS).map(([name, title]) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div class="status-text" role="status">
        {state.status === 'ready' && <Ready info={state.info} />}
        {state.status === 'loading' && <p>{describeProgress(state.event)}</p>}
        {state.status === 'failed' && <p class="wrong">{state.message}</p>}
      </div>
      <FileButton
        class="plain"
        title="Open a model…"
        label="ONNX model file"
        accept=".onnx"
        onFile={(file) => void loadModel(file, backendChoice.value)}
      />
      <Meter share={state.status === 'loading' ? shareDone(state.event) : null} />
    </section>
  );
}

/** The page's models with what they weigh, and a visitor's own: so there is a way back. */
function ModelMenu() {
  const choice = modelChoice.value;
  const own = choice instanceof File ? choice : ownModel.value;
  return (
    <label class="field">
      <span class="visually-hidden">Model</span>
      <select
        class="model-menu"
        value={choice instanceof File ? 'own' : choice.id}
        onChange={(event) => {
          const next = modelById(event.currentTarget.value) ?? own;
          if (next) void loadModel(next, backendChoice.value);
        }}
      >
        {own && <option value="own">{own.name}</option>}
        {offered.map(({ id, title, note, bytes }) => (
          <option key={id} value={id}>
            {title}, {note} · {format.bytes(bytes)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Ready({ info }: { readonly info: ModelInfo }) {
  return (
    <>
      <p title={`${format.magnitude(info.macs)} multiply-adds per picture`}>
        On <strong>{runsOn(info)}</strong>
        <span class="threads"> {details(info)}</span>
      </p>
      {info.backend !== 'webgpu' && <WhyNotGpu info={info} />}
    </>
  );
}

/** Opens over the page; closes as menus do, on Escape and on a click elsewhere. */
function WhyNotGpu({ info }: { readonly info: ModelInfo }) {
  const details = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const elsewhere = event instanceof KeyboardEvent ? event.key === 'Escape' : !isInside(event.target);
      if (elsewhere && details.current) details.current.open = false;
    };
    const isInside = (target: EventTarget | null) => details.current?.contains(target as Node) ?? false;
    addEventListener('click', close);
    addEventListener('keydown', close);
    return () => {
      removeEventListener('click', close);
      removeEventListener('keydown', close);
    };
  }, []);
  return (
    <details ref={details} class="why">
      <summary>Why not the GPU?</summary>
      <div>
        <p>
          This runs on {NAMES[info.backend]}, because {info.backendReason}.
        </p>
        <p>
          The answers are the same to the last bit; only the speed differs. To use a GPU, open this page over
          https in Chrome or Edge 113, Safari 26 or Firefox 141, or later, with hardware acceleration on in
          the browser’s settings.
        </p>
      </div>
    </details>
  );
}

function runsOn({ backend }: ModelInfo): string {
  return backend === 'webgpu' ? 'the GPU' : 'the CPU';
}

/** In parentheses: a phone has no room for them. */
function details({ backend, adapter, threads }: ModelInfo): string {
  if (backend === 'webgpu') return `(WebGPU, ${adapterName(adapter)})`;
  if (backend === 'reference') return '(reference)';
  return threads === null || threads === 1 ? '(WebAssembly)' : `(WebAssembly, ${threads} threads)`;
}

export function adapterName(adapter: AdapterDescription | null): string {
  if (!adapter) return 'no adapter';
  return (
    adapter.description ||
    [adapter.vendor, adapter.architecture].filter(Boolean).join(' ') ||
    'unnamed adapter'
  );
}

function describeProgress(event: ProgressEvent | null): string {
  if (!event) return 'Loading the model…';
  switch (event.stage) {
    case 'fetch':
      return event.total === undefined
        ? `Loading the model: ${format.bytes(event.loaded)}`
        : `Loading the model: ${format.bytes(event.loaded)} of ${format.bytes(event.total)}`;
    case 'compile':
      return `Preparing kernels: ${event.done} of ${event.total}`;
    case 'tune':
      return `Timing kernel variants: ${event.done} of ${event.total}`;
    case 'calibrate':
    case 'evaluate':
    case 'profile':
    case 'quantize':
      return `Working: ${event.done} of ${event.total}`;
  }
}

function shareDone(event: ProgressEvent | null): number {
  if (!event) return 0;
  if (event.stage === 'fetch') return event.total ? (0.8 * event.loaded) / event.total : 0;
  return event.total ? 0.8 + (0.2 * event.done) / event.total : 0.8;
}

function Meter({ share }: { readonly share: number | null }) {
  return (
    <div class="meter" aria-hidden="true">
      {share !== null && <div style={{ transform: `scaleX(${share})` }} />}
    </div>
  );
}
