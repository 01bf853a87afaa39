/** What the page knows, as signals, and the few actions that change it. Views read signals and call actions; only here are the workers asked for answers. */
import * as Comlink from 'comlink';
import { computed, signal } from '@preact/signals';
import type { ProgressEvent } from 'octetjs';
import { asked, keepInAddress } from './address.ts';
import { engine } from './engine/client.ts';
import { download } from './engine/download.ts';
import { asJob, isAbort } from './engine/jobs.ts';
import type { Answer, BackendChoice, ModelInfo, Pixels } from './engine/protocol.ts';
import { offered, type OfferedModel } from './models.ts';
import { firstPicture, testClasses, testCount, testLabels, testSheet } from './pictures/sheet.ts';
import { firstDownload, firstModel, servedModel, workerStopped } from './start.ts';

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

/** One of the page's models, or a visitor's file. */
export type ModelChoice = OfferedModel | File;

export const model = signal<ModelState>({ status: 'loading', event: null });
export const info = computed(() => (model.value.status === 'ready' ? model.value.info : null));
/** What the visitor asked for last, and again what is in use where that could not be had. */
export const backendChoice = signal<BackendChoice>(initialBackend());
/** Likewise. */
export const modelChoice = signal<ModelChoice>(firstModel);
/** A visitor's own model, once there was one: it stays in the menu. */
export const ownModel = signal<File | null>(null);
/** A file that turned out to be a float model: it has a view of its own. */
export const floatModel = signal<File | null>(null);
/** A visitor's own float model, and what the page has made of it (own.ts). */
export const ownFloat = signal<{ readonly float: File; readonly int8: File | null } | null>(null);
/** Which of the page's models is in use; null for a visitor's own. */
export const inUse = signal<OfferedModel | null>(firstModel);
/** Whether the model answers with the classes of the test pictures, so that an answer to one can be right or wrong. */
export const knowsTestClasses = computed(() => {
  if (!info.value) return true;
  const { labels } = info.value;
  return labels.length === testClasses.length && labels.every((label, index) => label === testClasses[index]);
});

export const chosen = signal<ChosenPicture | null>(null);
/** Name of a file that is being decoded. */
export const opening = signal<string | null>(null);
/** The answer to `answered.picture`, which may be one picture behind `chosen`. */
export const answered = signal<{ readonly picture: ChosenPicture; readonly answer: Answer } | null>(null);

/** A picture file that a visitor keeps in the gallery. */
export interface OwnPicture {
  readonly file: File;
  /** Of the file, for `<img>`. */
  readonly url: string;
}
export const ownPictures = signal<readonly OwnPicture[]>([]);

export function addOwnPictures(files: readonly File[]): void {
  const added = files.map((file) => ({ file, url: URL.createObjectURL(file) }));
  ownPictures.value = [...ownPictures.peek(), ...added];
}

/** A golden pack that the visitor dropped: the Verify view runs it. */
export const goldenPack = signal<File | null>(null);

/** Something that went wrong and that the visitor should know of. */
export const notice = signal<string | null>(null);

keepInAddress('backend', () => (backendChoice.value === 'auto' ? null : backendChoice.value));
keepInAddress('model', () => (inUse.value && inUse.value !== offered[0] ? inUse.value.id : null));
keepInAddress('picture', () => {
  const index = chosen.value?.testIndex ?? null;
  return index === null || index === firstPicture.index ? null : String(index + 1);
});

/** The model and the picture that the address asks for, or those that are soonest there. Resolves with the first answer, or without one. */
export async function loadFirst(first: OfferedModel): Promise<void> {
  const number = Number(asked('picture') ?? firstPicture.index + 1);
  const index =
    Number.isInteger(number) && number >= 1 && number <= testCount ? number - 1 : firstPicture.index;
  void chooseTest(index);
  if (servedModel === null) await loadModel(first, backendChoice.peek(), firstDownload);
  else await openServed(servedModel, first);
}

/** What `octet open` serves. A float model is the first one's guest: the page quantizes it, and until then the first one answers. */
async function openServed(name: string, first: OfferedModel): Promise<void> {
  try {
    const response = await firstDownload;
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    await loadModel(new File([await response.blob()], name), backendChoice.peek());
  } catch (error) {
    notice.value = `${name} could not be fetched: ${messageOf(error)}`;
  }
  if (!info.peek()) await loadModel(first, backendChoice.peek());
}

let loading: AbortController | null = null;
/** What answers until the next model is ready. */
let working: {
  readonly state: ModelState;
  readonly choice: ModelChoice;
  readonly backend: BackendChoice;
} | null = null;

/** Loads a model; whoever asks last wins. A model that cannot be loaded leaves the one before in use. */
export async function loadModel(
  choice: ModelChoice,
  backend: BackendChoice,
  begun?: Promise<Response>,
): Promise<void> {
  loading?.abort();
  const controller = (loading = new AbortController());
  model.value = { status: 'loading', event: null };
  backendChoice.value = backend;
  modelChoice.value = choice;
  try {
    const onProgress = (event: ProgressEvent) => {
      if (loading === controller) model.value = { status: 'loading', event };
    };
    if (begun) void engine.preload(backend);
    const bytes =
      begun && !(choice instanceof File)
        ? await download(choice.url, controller.signal, onProgress, begun)
        : null;
    const source = choice instanceof File ? choice : { url: choice.url, bytes };
    const loaded = await asJob(engine, controller.signal, (job) =>
      engine.load(
        job,
        bytes ? Comlink.transfer(source, [bytes.buffer]) : source,
        backend,
        Comlink.proxy(onProgress),
      ),
    );
    if (loading !== controller) return;
    loading = null;
    if (choice instanceof File) ownModel.value = choice;
    inUse.value = choice instanceof File ? null : choice;
    answered.value = null;
    model.value = { status: 'ready', info: loaded };
    working = { state: model.value, choice, backend };
    await answerChosen();
  } catch (error) {
    if (isAbort(error) || loading !== controller) return;
    loading = null;
    if (choice instanceof File && error instanceof Error && error.name === 'FloatModelError') {
      restore();
      floatModel.value = choice;
      return;
    }
    const message = choice instanceof File ? `${choice.name}: ${messageOf(error)}` : messageOf(error);
    if (restore()) {
      notice.value = message;
    } else {
      model.value = { status: 'failed', message };
    }
  }
}

/** Goes back to the model before. @returns whether there is one */
function restore(): boolean {
  if (!working) return false;
  model.value = working.state;
  backendChoice.value = working.backend;
  modelChoice.value = working.choice;
  // A picture chosen meanwhile has not been answered.
  void answerChosen();
  return true;
}

// Nobody would ever answer.
void workerStopped.then(({ message }) => {
  loading?.abort();
  loading = working = null;
  const why = message ? `: ${message}` : '';
  model.value = { status: 'failed', message: `The inference worker stopped${why}. Reload the page.` };
});

/** Waits for a picture that is still on its way. */
export async function chooseTest(index: number): Promise<void> {
  const choice = ++lastChoice;
  try {
    if (!testSheet.pixels(index)) await testSheet.load();
  } catch (error) {
    notice.value = `The test pictures could not be loaded: ${messageOf(error)}`;
    return;
  }
  if (choice !== lastChoice) return;
  choose({
    pixels: testSheet.pixels(index)!,
    title: `Test picture ${index + 1}`,
    testIndex: index,
    trueClass: testLabels[index],
  });
}

/**
 * Files that were dropped or pasted. Several pictures, and any with an own model in use, are kept in the gallery; the first is the one
 * that is answered.
 */
export async function openFiles(files: readonly File[]): Promise<void> {
  const isPicture = ({ name }: File) => !/\.(onnx|zip)$/i.test(name);
  const pictures = files.filter(isPicture);
  for (const file of files) if (!isPicture(file)) await openFile(file);
  if (pictures.length > 1 || inUse.peek() === null)
    addOwnPictures(pictures.filter(({ type }) => type !== 'text/plain'));
  if (pictures.length > 0) await openFile(pictures[0]);
}

/** A file, a pasted or dropped picture. ONNX files are taken as models, zip files as golden packs. */
export async function openFile(file: File): Promise<void> {
  notice.value = null;
  if (/\.onnx$/i.test(file.name)) {
    await loadModel(file, backendChoice.peek());
    return;
  }
  if (/\.zip$/i.test(file.name)) {
    goldenPack.value = file;
    location.hash = 'verify';
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
  const backend = asked('backend');
  return backend === 'webgpu' || backend === 'wasm' || backend === 'reference' ? backend : 'auto';
}
