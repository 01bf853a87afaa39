/** A visitor's own float model, from the file to an int8 model: all of it in the page, nothing is sent anywhere. */
import * as Comlink from 'comlink';
import { signal } from '@preact/signals';
import type { ProgressEvent } from 'octetjs';
import { saveFile } from './components/download.tsx';
import { asJob } from './engine/jobs.ts';
import { profileOf } from './engine/profile.ts';
import { ownLab } from './lab/client.ts';
import type { FloatDescription, OwnResult } from './lab/protocol.ts';
import { addOwnPictures, backendChoice, info, loadModel, ownFloat, type ChosenPicture } from './state.ts';

/** How pixels are usually normalized in training, for files that do not say it: (pixel / 255 − mean) / std. */
export const NORMALIZATIONS = {
  imagenet: { title: 'ImageNet mean and deviation', mean: '0.485,0.456,0.406', std: '0.229,0.224,0.225' },
  unit: { title: '0 to 1', mean: '0,0,0', std: '1,1,1' },
  signed: { title: '−1 to 1', mean: '0.5,0.5,0.5', std: '0.5,0.5,0.5' },
} as const;
export type Normalization = keyof typeof NORMALIZATIONS;

export const description = signal<FloatDescription | null>(null);
export const pictures = signal<readonly ChosenPicture[]>([]);
export const normalization = signal<Normalization>('imagenet');
/** Class names that the visitor gave; the file's own where empty. */
export const labels = signal<readonly string[]>([]);
export const result = signal<OwnResult | null>(null);
export const step = signal<ProgressEvent | 'opening' | null>(null);

let working: AbortController | null = null;

async function work(does: (signal: AbortSignal) => Promise<void>): Promise<void> {
  working?.abort();
  const controller = (working = new AbortController());
  try {
    await does(controller.signal);
  } finally {
    if (working === controller) step.value = null;
  }
}

export const cancel = (): void => working?.abort();

export function openOwn(file: File): Promise<void> {
  return work(async (signal) => {
    description.value = result.value = null;
    pictures.value = labels.value = [];
    step.value = 'opening';
    const found = await asJob(ownLab, signal, (job) => ownLab.open(job, file, Comlink.proxy(noProgress)));
    ownFloat.value = { float: file, int8: null };
    description.value = found;
  });
}

export async function addPictures(files: readonly File[]): Promise<void> {
  addOwnPictures(files);
  for (const file of files) {
    const pixels = await ownLab.prepare(file);
    pictures.value = [...pictures.peek(), { pixels, title: file.name, testIndex: null, trueClass: null }];
  }
}

export async function addSamplePictures(): Promise<void> {
  const samples = await ownLab.samplePictures(64);
  pictures.value = samples.map((pixels, index) => ({
    pixels,
    title: `Training picture ${index + 1}`,
    testIndex: null,
    trueClass: null,
  }));
}

/** Class names, one a line or a JSON array. @throws Error where there are others than the model's classes */
export async function readLabelFile(file: File): Promise<void> {
  const text = (await file.text()).trim();
  const names = text.startsWith('[') ? (JSON.parse(text) as unknown[]).map(String) : text.split(/\r?\n/);
  const classes = description.peek()?.classes ?? 0;
  if (names.length !== classes) {
    throw new Error(`${file.name} names ${names.length} classes, but the model tells ${classes} apart`);
  }
  labels.value = names;
}

/** Quantizes, and opens the result in every view. */
export function quantizeOwn(): Promise<void> {
  return work(async (signal) => {
    const file = ownFloat.peek()?.float;
    const found = description.peek();
    if (!file || !found) return;
    result.value = null;
    const { mean, std } = NORMALIZATIONS[normalization.peek()];
    const metadata = {
      ...(!found.saysNormalization && { mean, std }),
      ...(labels.peek().length > 0 && { labels: JSON.stringify(labels.peek()) }),
    };
    const made = await asJob(ownLab, signal, (job) =>
      ownLab.quantize(
        job,
        metadata,
        pictures.peek().map(({ title, pixels }) => ({ title, pixels })),
        Comlink.proxy((event) => (step.value = event)),
      ),
    );
    const int8 = new File([made.bytes], file.name.replace(/(\.onnx)?$/i, '.int8.onnx'));
    ownFloat.value = { float: file, int8 };
    result.value = made;
    await loadModel(int8, backendChoice.peek());
  });
}

/** Gives the visitor the report of `octet inspect` on the int8 model, with what rounding lost on the same pictures. */
export function saveReport(): Promise<void> {
  return work(async (signal) => {
    const int8 = ownFloat.peek()?.int8;
    const network = info.peek();
    if (!int8 || !network) return;
    const onProgress = (event: ProgressEvent) => (step.value = event);
    const html = await asJob(ownLab, signal, (job) =>
      ownLab.inspect(job, int8, profileOf(network), Comlink.proxy(onProgress)),
    );
    saveFile(int8.name.replace(/onnx$/, 'html'), html);
  });
}

const noProgress = (): void => undefined;
