/** What a server and the processes that run its models say to each other (structured clones over a channel). */
import type { Graph } from '../graph/graph.ts';
import type { LoadOptions, ModelInput, ModelOutput } from '../model/model.ts';
import type { BackendName } from '../schedule/session.ts';
import type { Unit, UnitLimits, UnitResult } from './units.ts';

/** What a process loads. */
export interface ProcessOptions extends UnitLimits {
  /** A file's path, or a graph in memory. */
  readonly source: string | Graph;
  readonly load: Pick<
    LoadOptions,
    'backend' | 'threads' | 'maxActivationBytes' | 'inputShape' | 'tune' | 'hostStages'
  >;
  /** Batch sizes that are planned and run once before the process is ready. */
  readonly batches: readonly number[];
}

/** A model as its process describes it. */
export interface ProcessModel {
  /** SHA-256 of the file and of its external data, in hex; '' of a graph in memory. */
  readonly hash: string;
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly ModelOutput[];
  readonly labels: readonly string[];
  /** Why the model cannot take pixels; null where it can. */
  readonly noPixels: string | null;
  /** Why it cannot classify pictures of any size, beside that; null where it can. */
  readonly noPictures: string | null;
  readonly backend: BackendName;
  readonly backendReason: string;
  readonly threads: number | null;
  /** For people; null on backends without an adapter. */
  readonly adapter: string | null;
}

export type ToProcess =
  | { readonly kind: 'load'; readonly options: ProcessOptions }
  | { readonly kind: 'run'; readonly id: number; readonly units: readonly Unit[] }
  /** Nobody waits for the run any more. */
  | { readonly kind: 'cancel'; readonly id: number };

export type FromProcess =
  | { readonly kind: 'loaded'; readonly model: ProcessModel }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'done'; readonly id: number; readonly results: readonly UnitResult[] }
  /** `fatal`: the device or its threads are lost, and a new process is the way to have them back. */
  | { readonly kind: 'failed'; readonly id: number; readonly message: string; readonly fatal: boolean };
