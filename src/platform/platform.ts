/** What Octet asks of the machine it runs on; `node.ts` and `browser.ts` answer. Import it as `#platform`. */

import type { AsyncOptions } from '../progress.ts';

/** Decoded pixels: RGB, row-major, 3 bytes a pixel. */
export interface DecodedPixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface Platform {
  /**
   * Decodes a PNG, JPEG, WebP, GIF or AVIF file, upright (EXIF orientation applied), transparency on black, in sRGB. The caller has
   * checked the size in the header. Rejects with the decoder's own error where the file is broken, with an InputError where there is no
   * decoder.
   *
   * @param format `PNG`, `JPEG`, `WebP`, `GIF` or `AVIF`, by the header
   */
  decodePixels(bytes: Uint8Array, format: string): Promise<DecodedPixels>;
  /** The bytes of a file (Node) or of a URL (both). Rejects with an InputError that names it where it cannot be read. */
  readFile(location: string | URL, options?: AsyncOptions): Promise<Uint8Array>;
  /**
   * The bytes of the file at `location`, a relative path, in the folder of the file at `model`. Rejects with an
   * InputError where it cannot be read, or lies outside the folder: behind a link, or by what a URL makes of the
   * path.
   */
  readNeighbour(model: string | URL, location: string, options?: AsyncOptions): Promise<Uint8Array>;
  /** The WebGPU entry point, null where there is none. In Node it is Dawn, through the optional package `webgpu`; Deno has its own. */
  gpu(): Promise<GPU | null>;
  /** What a user can do where there is no GPU adapter. */
  readonly gpuAdvice: string;
  /** The text kept under `key` by an earlier `remember`, on an earlier visit too. Never rejects: undefined where nothing was kept. */
  recall(key: string): Promise<string | undefined>;
  /** Keeps a small text (tuning results). Never rejects: where nothing can be kept, nothing is. */
  remember(key: string, text: string): Promise<void>;
  /** How many threads the machine runs at once. */
  readonly cores: number;
  /** Whether threads may share memory: in Node always, in browsers where the page is cross-origin isolated. */
  readonly sharesMemory: boolean;
  /** Starts a thread from the text of a JavaScript module, or from its address where one is given. Throws the engine's own error. */
  startWorker(source: string, url?: string | URL): WorkerThread;
}

/** A browser's Worker, or what Node has in its place. */
export interface WorkerThread {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  /** The thread threw, could not be started, or ended without being told to. */
  addEventListener(type: 'error', listener: (event: { readonly message?: string }) => void): void;
  terminate(): void;
  /** Node only: whether the thread keeps the process alive. */
  ref?(): void;
  unref?(): void;
}
