import { median, quantileSorted } from 'simple-statistics';

/** Milliseconds of one contender at one batch size, over interleaved repetitions, warm-up excluded. */
export interface Summary {
  readonly repetitions: number;
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
}

export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    repetitions: sorted.length,
    median: median(sorted),
    p10: quantileSorted(sorted, 0.1),
    p90: quantileSorted(sorted, 0.9),
  };
}
