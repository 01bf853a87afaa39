/** A way to make cases that must not be answered wrongly; `scripts/fuzz.ts` runs them by their seeds. */
export interface FuzzMode {
  readonly name: string;
  run(seed: number): Promise<FuzzOutcome>;
}

export interface FuzzOutcome {
  /** Added up over all cases and printed. */
  readonly counts: Readonly<Record<string, number>>;
  /** What the case was one of: cases with the same note are counted. */
  readonly note?: string;
  /** What is wrong with the answer. */
  readonly finding?: string;
}
