/** What one core can do of the multiply instructions, registers only: what a kernel's speed is a share of. */
import type { RelaxedDot } from '../ops/wasm-kernel.ts';
import { loadEngine } from './engine.ts';

export interface WasmPeak {
  /** `i32x4.dot_i16x8_s` with its addition, in 10⁹ multiply-adds a second. */
  readonly dot: number;
  /** `i32x4.relaxed_dot_i8x16_i7x16_add_s`, null where the engine lacks it. */
  readonly relaxedDot: number | null;
  /** For which operands that is exact. */
  readonly relaxedOperands: RelaxedDot;
}

/** Multiply-adds of one round of peak.ts's twelve sums. */
const DOT_MACS = 12 * 8;
const RELAXED_MACS = 12 * 16;
const ROUNDS = 50_000;

/** Takes about 50 ms. The best of many short runs: what disturbs a run only slows it. */
export async function measurePeak(): Promise<WasmPeak> {
  const { module, capabilities } = await loadEngine({ shared: false, relaxed: true });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const { peakDot, peakRelaxedDot } = exports as Record<string, ((rounds: number) => number) | undefined>;
  const rate = (kernel: (rounds: number) => number, macs: number) => {
    let best = Infinity;
    for (let i = 0; i < 30; i++) {
      const start = performance.now();
      kernel(ROUNDS);
      best = Math.min(best, performance.now() - start);
    }
    return (ROUNDS * macs) / best / 1e6;
  };
  return {
    dot: rate(peakDot!, DOT_MACS),
    relaxedDot: peakRelaxedDot ? rate(peakRelaxedDot, RELAXED_MACS) : null,
    relaxedOperands: capabilities.relaxedDot,
  };
}

/** Larger than any cache together. */
const COPIED_BYTES = 2 ** 26;

/** Memory traffic of one core in GB/s, read and written bytes both counted: the best of a few large copies. Takes about 0.2 s. */
export function measureBandwidth(): number {
  const [from, to] = [new Uint8Array(COPIED_BYTES).fill(1), new Uint8Array(COPIED_BYTES)];
  let best = Infinity;
  for (let i = 0; i < 6; i++) {
    const start = performance.now();
    to.set(from);
    best = Math.min(best, performance.now() - start);
  }
  return (2 * COPIED_BYTES) / best / 1e6;
}
