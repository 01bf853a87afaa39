/** Something a long-running call is doing. Calls that take `onProgress` report these, in order. */
export type ProgressEvent =
  | { readonly stage: 'fetch'; readonly loaded: number; readonly total: number | undefined }
  | { readonly stage: 'calibrate' | 'evaluate' | 'profile'; readonly done: number; readonly total: number }
  | {
      readonly stage: 'quantize' | 'compile' | 'tune';
      readonly done: number;
      readonly total: number;
      readonly item?: string;
    };

/** Options that every asynchronous call of the public API takes. */
export interface AsyncOptions {
  /** Aborts the call: its promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: ProgressEvent) => void;
}
