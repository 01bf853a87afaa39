import type { ArithmeticFamily } from '../src/ops/gpu-kernel.ts';
import type { BenchContext } from './result.ts';

/** One variant of one layer's shape, at one batch size. */
export interface KernelRow {
  readonly network: string;
  readonly layer: string;
  /** The operator's tuning key: shape, window, channels, batch. */
  readonly shape: string;
  readonly variant: string;
  readonly family: ArithmeticFamily;
  readonly batch: number;
  readonly ms: number;
  readonly gmacs: number;
  /** GMAC/s of a register-only loop of its family, timed in turn with the variants of the shape. */
  readonly peak: number;
  /** Of that peak, 0 to 1. */
  readonly share: number;
  /** Multiply-adds a byte of operands and result, each counted once. */
  readonly intensity: number;
}

export interface KernelResult {
  readonly context: BenchContext;
  /** Median of the rows' peaks. */
  readonly peaks: Readonly<Partial<Record<ArithmeticFamily, number>>>;
  readonly rows: readonly KernelRow[];
}
