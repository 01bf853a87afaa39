import type { ArithmeticFamily } from '../src/ops/gpu-kernel.ts';
import type { Profile } from '../src/index.ts';
import type { KernelResult } from './kernel-result.ts';
import type { Summary } from './statistics.ts';

/** All tensors of the network, on some pictures, against the reference's bytes. */
export interface TensorCheck {
  readonly tune: string;
  readonly batch: number;
  readonly pictures: number;
  readonly elements: number;
  /** Tensors with other bytes, and how many; empty where all are equal. */
  readonly differing: readonly string[];
}

/** The network at one batch size. */
export interface Throughput {
  readonly tune: string;
  readonly batch: number;
  /** End to end, pixels to logits, one call at a time. */
  readonly latencyMs: Summary;
  /** With three calls in flight. */
  readonly imagesPerSecond: number;
  /** Sum of the layers, each timed alone on the GPU. */
  readonly gpuMs: number;
  readonly method: Profile['method'];
  /** Measured register peaks in GMAC/s. */
  readonly peaks: Profile['peak'];
  readonly layers: readonly {
    readonly name: string;
    readonly variant: string | null;
    readonly family: ArithmeticFamily | null;
    readonly macs: number;
    readonly ms: number;
    readonly gmacs: number;
    /** Of the peak of its family, 0 to 1; null where nothing is multiplied. */
    readonly share: number | null;
  }[];
}

/** What bench/gpu-host.ts writes: the kernel benchmark's result, and the network's. */
export interface GpuHostResult extends KernelResult {
  readonly kernelSuite: {
    readonly cases: number;
    readonly variants: number;
    readonly failures: readonly string[];
  };
  readonly checks: readonly TensorCheck[];
  /** Of the load that was measured last, its tuning included. */
  readonly loadMs: number;
  readonly throughput: readonly Throughput[];
}
