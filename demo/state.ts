/** What the page knows, as signals, and the few actions that change it. Views read signals and call actions; only here are the workers asked for answers. */
import * as Comlink from 'comlink';
import { computed, signal } from '@preact/signals';
import type { ProgressEvent } from 'octetjs';
import { engine, engineWorker } from './engine/client.ts';
import { asJob, isAbort } from './engine/jobs.ts';
import type { Answer, BackendChoice, ModelInfo, Pixels } from './engine/protocol.ts';
import { modelUrl, openTestSheet, testClasses, type Sheet } from './pictures/sheet.ts';

export type ModelState =
  | { readonly status: 'loading'; readonly event: ProgressEvent | null }
  | { readonly status: 'ready'; readonly info: ModelInfo }
  | { readonly status: 'failed'; readonly message: string };

/** A picture that the visitor chose. */
export interface ChosenPicture {
  readonly pixels: Pixels;
  /** Where it came from, for captions and screen readers: "test picture 12", a file's name, "camera". */
  readonly title: string;
  /** Index in the test sheet, where it is from there. */
  readonly testIndex: number | null;
  /** True class, where known. */
  readonly trueClass: number | null;
}

export const model = signal<ModelState>({ status: 'loading', event: null });
export const info = computed(() => (model.value.status === 'ready' ? model.value.info : null));
/** What the visitor asked for last, and again what is in use where that could not be had. */
export const backendChoice = signal<BackendChoice>(initialBackend());
/** A visitor's own model file, null for the page's model. */
export const ownModel = signal<File | null>(null);
/** Whether the model answers with the classes of the test pictures, so that an answer to one can be right or wrong. */
export const knowsTestClasses = computed(() => {
  if (!info.value) return true;
  const { labels, classCount } = info.value;
  return labels.length === 0
    ? classCount === testClasses.length
    : labels.length === testClasses.length && labels.every((label, index) => label === testClasses[index]);
});

export const sheet = signal<Sheet | null>(null);
export const chosen = signal<ChosenPicture | null>(null);
/** Name of a file that is being decoded. */
export const opening = signal<string | null>(null);
/** The answer to `answered.picture`, which may be one picture behind `chosen`. */
export const answered = signal<{ readonly picture: ChosenPicture; readonly answer: Answer } | null>(null);

/** Something that went wrong and that the visitor should know of. */
export const notice = signal<string | null>(null);

let loading: AbortController | null = null;
/** What answers until the next model is ready. */
let inUse: { readonly state: ModelState; readonly backend: BackendChoice } | null = null;

/** Loads a model; whoever asks last wins. A model that cannot be loaded leaves the one before in use. */
export async function loadModel(source: File | null, backend: BackendChoice): Promise<void> {
  loading?.abort();
  const controller = (loading = new AbortController());
  model.value = { status: 'loading', event: null };
  backendChoice.value = backend;
  try {
    const onProgress = (event: ProgressEvent) => {
      if (loading === controller) model.value = { status: 'loading', event };
    };
    const loaded = await asJob(engine, controller.signal, (job) =>
      engine.load(job, source ?? modelUrl, backend, Comlink.proxy(onProgress)),
    );
    if (loading !== controller) return;
    loading = null;
    ownModel.value = source;
    answered.value = null;
    model.value = { status: 'ready', info: loaded };
    inUse = { state: model.value, backend };
    void answerChosen();
  } catch (error) {
    if (isAbort(error) || loading !== controller) return;
    loading = null;
    const message = source ? `${source.name}: ${messageOf(error)}` : messageOf(error);
    if (inUse) {
      model.value = inUse.state;
      backendChoice.value = inUse.backend;
      notice.value = message;
      // A picture chosen meanwhile has not been answered.
      void answerChosen();
    } else {
      model.value = { status: 'failed', message };
    }
  }
}

// Nobody would ever answer: the script could not be fetched, or the browser ended the worker.
engineWorker.addEventListener('error', ({ message }) => {
  loading?.abort();
  loading = inUse = null;
  const why = message ? `: ${message}` : '';
  model.value = { status: 'failed', message: `The inference worker stopped${why}. Reload the page.` };
});

export async function openSheet(): Promise<void> {
  try {
    sheet.value = await openTestSheet();
    // A visitor sees an answer before having to do anything.
    if (!chosen.peek()) chooseTest(firstPicture);
  } catch (error) {
    notice.value = `The test pictures could not be loaded: ${messageOf(error)}`;
  }
}

/** A horse: recognizable at 32×32. Shown first. */
const firstPicture = 17;

export function chooseTest(index: number): void {
  const pictures = sheet.peek();
  if (!pictures) return;
  choose({
    pixels: pictures.pixels(index),
    title: `Test picture ${index + 1}`,
    testIndex: index,
    trueClass: pictures.labels[index],
  });
}

/** A file, a pasted or dropped picture. ONNX files are taken as models. */
export async function openFile(file: File): Promise<void> {
  notice.value = null;
  if (/\.onnx$/i.test(file.name)) {
    await loadModel(file, backendChoice.peek());
    return;
  }
  const title = file.name || 'Pasted picture';
  const choice = ++lastChoice;
  opening.value = title;
  try {
    const pixels = await engine.prepare(file);
    if (choice === lastChoice) choose({ pixels, title, testIndex: null, trueClass: null });
  } catch (error) {
    notice.value = messageOf(error);
  } finally {
    if (choice === lastChoice) opening.value = null;
  }
}

/** Counts choices: a large file that is still being decoded must not replace what was chosen after it. */
let lastChoice = 0;

export function choose(picture: ChosenPicture): void {
  lastChoice++;
  opening.value = null;
  chosen.value = picture;
  void answerChosen();
}

let answering = false;

/** Classifies the chosen picture; while one is under way, only the last choice is kept (camera frames are skipped, not queued). */
async function answerChosen(): Promise<void> {
  if (answering) return;
  answering = true;
  try {
    for (;;) {
      const picture = chosen.peek();
      const network = info.peek();
      if (!picture || !network || picture === answered.peek()?.picture) break;
      const answer = await engine.classify(picture.pixels);
      // Where the model was replaced meanwhile, the answer is the old one's: ask again.
      if (info.peek() === network) answered.value = { picture, answer };
    }
  } catch (error) {
    notice.value = messageOf(error);
  } finally {
    answering = false;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `?backend=wasm` in the address chooses a backend, so that a view can be shared. */
function initialBackend(): BackendChoice {
  const asked = new URLSearchParams(location.search).get('backend');
  return asked === 'webgpu' || asked === 'wasm' || asked === 'reference' ? asked : 'auto';
}
