/**
 * Expected time of an operation, by a roofline (Williams, Waterman and Patterson 2009): it waits for its multiply-adds or for memory,
 * whichever takes longer, and each dispatch costs a fixed time beside.
 *
 * `ms = dispatches · dispatch + max(macs / (peak · efficiency), bytes / bandwidth)`
 *
 * What it leaves out: caches between operations, Winograd's savings, layers too small to fill a device. It ranks layers and devices; to
 * know, `Model.profile` measures.
 */
import type { DeviceProfile } from './target.ts';

/** Milliseconds, and what they are spent on. */
export interface ExpectedTime {
  readonly ms: number;
  /** What the operation waits for. */
  readonly limit: 'arithmetic' | 'memory' | 'dispatch' | 'host';
}

/** What an operation does, for one batch. */
export interface OperationWork {
  readonly macs: number;
  /** Activations, weights and tables, each read or written once. */
  readonly bytes: number;
  readonly dispatches: number;
  /** Arithmetic of its kernel; null on backends that have one only. */
  readonly family: string | null;
}

export function expectedTime(
  { macs, bytes, dispatches, family }: OperationWork,
  { rates, ...profile }: DeviceProfile,
): ExpectedTime {
  const threads = profile.backend === 'wasm' ? profile.wasm.threads : 1;
  const { peakGmacs } = rates;
  const peak =
    profile.backend === 'wasm'
      ? peakGmacs.simd
      : (peakGmacs[family as keyof typeof peakGmacs] ?? Math.max(...Object.values(peakGmacs)));
  const arithmetic = macs > 0 ? macs / ((peak ?? 1) * threads * rates.efficiency * 1e6) : 0;
  const memory = bytes / (rates.bandwidth * 1e6);
  const dispatch = (dispatches * rates.dispatchMicroseconds) / 1e3;
  const work = Math.max(arithmetic, memory);
  const limit = dispatch > work ? 'dispatch' : arithmetic > memory ? 'arithmetic' : 'memory';
  return { ms: dispatch + work, limit };
}

/**
 * Of an operation on the host.
 *
 * @param elements of its result: what takes time where nothing is multiplied up
 */
export function expectedHostTime(macs: number, elements: number, { rates }: DeviceProfile): ExpectedTime {
  return { ms: Math.max(macs, elements) / (rates.hostGmacs * 1e6), limit: 'host' };
}
