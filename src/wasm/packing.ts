/** Weights packed by kernels, on the session's threads. */
import type { WasmPacking } from '../ops/wasm-kernel.ts';
import type { PreparedCall } from './execute.ts';
import type { LinearMemory } from './memory.ts';
import type { Executor } from './pool.ts';

/** Source bytes that are packed by one call: they stay in the second-level cache. */
const STAGE_BYTES = 1 << 19;

/** A constant that a kernel packs, and where to. */
export interface PackingJob {
  readonly packing: WasmPacking;
  readonly address: number;
}

interface PackingPart {
  readonly source: Uint8Array;
  /** @param stage where the source lies when the call runs */
  call(stage: number): PreparedCall;
}

/**
 * Weights go to the kernels in parts, so that the memory for them stays small.
 *
 * @param plan an id that the executor does not know yet
 * @param afterPart throws where the work is to end
 */
export async function packWeights(
  { executor, memory }: { readonly executor: Executor; readonly memory: LinearMemory },
  jobs: readonly PackingJob[],
  plan: number,
  afterPart: () => void,
): Promise<void> {
  if (jobs.length === 0) return;
  const { threads } = executor;
  const parts = packingParts(jobs);
  const scratchBytes = Math.max(...jobs.map(({ packing }) => packing.scratchBytes));
  const stageBytes = Math.max(STAGE_BYTES, ...parts.map(({ source }) => source.byteLength));
  const stage = memory.allocate(stageBytes + threads * scratchBytes);
  try {
    const scratch = stage.address + stageBytes;
    executor.prepare(
      plan,
      parts.map((part) => part.call(stage.address)),
      Array.from({ length: threads }, (_, thread) => scratch + thread * scratchBytes),
    );
    for (const [i, { source }] of parts.entries()) {
      memory.bytesAt(stage.address, source.byteLength).set(source);
      await executor.run(plan, i, i + 1);
      afterPart();
    }
  } finally {
    executor.forget(plan);
    memory.release(stage);
  }
}

function packingParts(jobs: readonly PackingJob[]): PackingPart[] {
  return jobs.flatMap(({ packing, address }) => {
    const { source, rowBytes, unitRows, unitBytes, args } = packing;
    const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    const rows = source.byteLength / rowBytes;
    const units = Math.max(1, Math.floor(STAGE_BYTES / (rowBytes * unitRows)));
    const parts: PackingPart[] = [];
    for (let unit = 0; unit * unitRows < rows; unit += units) {
      const first = unit * unitRows;
      const count = Math.min(units * unitRows, rows - first);
      parts.push({
        source: bytes.subarray(first * rowBytes, (first + count) * rowBytes),
        call: (stage) => ({
          export: packing.export,
          args: [
            stage,
            address + unit * unitBytes,
            count,
            ...args.map((arg) => (arg.kind === 'number' ? arg.value : 0)),
          ],
          scratchArgument:
            packing.scratchBytes > 0 ? 3 + args.findIndex(({ kind }) => kind === 'scratch') : -1,
          units: Math.ceil(count / unitRows),
        }),
      });
    }
    return parts;
  });
}
