/**
 * Runs one variant of one operation with everything in plain sight: tensors, constants and workspaces lie in one block with guard bytes between
 * them, all of it poisoned, and whatever a kernel may not write is compared afterwards. No Node imports: browsers run it too.
 */
import type { ValueRange, WasmVariant } from '../../src/ops/wasm-kernel.ts';
import { moreOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { wasmKernelOf } from '../../src/ops/wasm-kernels.ts';
import { byteCount, elementCount, type IntegerProgram, type TensorId } from '../../src/program/program.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { loadEngine, type WasmEngine } from '../../src/wasm/engine.ts';
import { type Block, LinearMemory } from '../../src/wasm/memory.ts';
import { prepareCalls } from '../../src/wasm/plan.ts';
import { createInlineExecutor, createThreadPool, type Executor } from '../../src/wasm/pool.ts';
import type { OperationCase } from '../support/cases.ts';
import { compareBuffers } from '../support/report.ts';

const POISON = 0xa5;
const GUARD = 64;

const operators = createOperatorRegistry(moreOperators);

export interface KernelReport {
  /** Variants run, by name. */
  readonly runs: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
}

export class KernelBench {
  readonly #engine: WasmEngine;
  readonly #executor: Executor;
  readonly #memory: LinearMemory;

  private constructor(engine: WasmEngine, executor: Executor, memory: LinearMemory) {
    this.#engine = engine;
    this.#executor = executor;
    this.#memory = memory;
  }

  static async open(threads: number, relaxed: boolean): Promise<KernelBench> {
    const engine = await loadEngine({ shared: threads > 1, relaxed });
    const memory = new LinearMemory(threads > 1);
    const executor =
      threads > 1
        ? await createThreadPool(engine.module, memory.memory, threads)
        : await createInlineExecutor(engine.module, memory.memory);
    return new KernelBench(engine, executor, memory);
  }

  get relaxedDot() {
    return this.#engine.capabilities.relaxedDot;
  }

  dispose(): void {
    this.#executor.dispose();
  }

  /** Every variant of every case against the reference. */
  async run(
    cases: readonly OperationCase[],
    only: (name: string) => boolean = () => true,
  ): Promise<KernelReport> {
    const runs: Record<string, number> = {};
    const failures: string[] = [];
    for (const each of cases) {
      const inputs = new Map(
        [...each.inputs].map(([id, data]) => [id, { kind: 'quantized' as const, data }]),
      );
      const expected = await createReferenceSession(each.program, operators).run(inputs, {
        batch: each.batch,
      });
      const [operation] = each.program.operations;
      const variants = wasmKernelOf(operators, operation)!
        .variants(
          operation,
          (id) => each.program.tensors[id],
          each.batch,
          this.#engine.capabilities,
          (id) => rangeOf(each, id),
        )
        .filter(({ name }) => only(name));
      for (const variant of variants) {
        runs[variant.name] = (runs[variant.name] ?? 0) + 1;
        const { output, trespasses } = await this.#runVariant(each, variant);
        const subject = {
          kernel: operation.kind,
          variant: `${variant.name}, ${this.#executor.threads} threads`,
          seed: each.name,
        };
        failures.push(...trespasses.map((text) => `${each.name} · ${variant.name}: ${text}`));
        const tensor = each.program.tensors[operation.output];
        const report = compareBuffers(
          subject,
          tensor,
          each.batch,
          output,
          expected.tensors.get(operation.output)!,
        );
        if (report) failures.push(report);
      }
    }
    return { runs, failures };
  }

  async #runVariant(
    { program, batch, inputs }: OperationCase,
    variant: WasmVariant,
  ): Promise<{ output: Int8Array | Int32Array; trespasses: string[] }> {
    const layout = layOut(program, batch, variant, this.#executor.threads);
    const block = this.#memory.allocate(layout.bytes);
    try {
      const { buffer } = this.#memory.memory;
      const bytes = new Uint8Array(buffer, block.address, layout.bytes);
      bytes.fill(POISON);
      for (const [id, data] of inputs) {
        bytes.set(
          new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
          layout.tensors.get(id)!.address,
        );
      }
      variant.constants.forEach(({ data }, i) => {
        const values = data();
        const place = layout.constants[i].address;
        bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), place);
      });
      const before = bytes.slice();
      const at = ({ address }: Block) => block.address + address;
      const calls = prepareCalls(variant, {
        tensor: (id) => at(layout.tensors.get(id)!),
        constant: (i) => at(layout.constants[i]),
        workspace: (i) => at(layout.workspaces[i]),
      });
      this.#executor.prepare(0, calls, layout.scratch.map(at));
      await this.#executor.run(0, 0, calls.length);
      this.#executor.forget(0);
      const [operation] = program.operations;
      const tensor = program.tensors[operation.output];
      const place = layout.tensors.get(operation.output)!;
      const elements = elementCount(tensor, batch);
      const output =
        tensor.type === 'int8'
          ? new Int8Array(new Int8Array(buffer, at(place), elements))
          : new Int32Array(new Int32Array(buffer, at(place), elements));
      return {
        output,
        trespasses: findTrespasses(before, bytes, [place, ...layout.workspaces, ...layout.scratch]),
      };
    } finally {
      this.#memory.release(block);
    }
  }
}

/** Exact range of a tensor that the case gives as input, its zero point included. */
function rangeOf({ program, inputs }: OperationCase, id: TensorId): ValueRange {
  let lo = program.tensors[id].zeroPoint;
  let hi = lo;
  for (const value of inputs.get(id) ?? [-128, 127]) {
    if (value < lo) lo = value;
    if (value > hi) hi = value;
  }
  return { lo, hi };
}

interface Layout {
  readonly bytes: number;
  /** Addresses from the block's start. */
  readonly tensors: ReadonlyMap<TensorId, Block>;
  readonly constants: readonly Block[];
  readonly workspaces: readonly Block[];
  readonly scratch: readonly Block[];
}

function layOut(program: IntegerProgram, batch: number, variant: WasmVariant, threads: number): Layout {
  let end = GUARD;
  const place = (bytes: number): Block => {
    const block = { address: end, bytes };
    end = Math.ceil((end + bytes) / 16) * 16 + GUARD;
    return block;
  };
  const [operation] = program.operations;
  const used = new Set([...operation.inputs, operation.output]);
  const scratchBytes = Math.max(...variant.calls.map((call) => call.scratchBytes));
  const tensors = new Map([...used].map((id) => [id, place(byteCount(program.tensors[id], batch))]));
  const constants = variant.constants.map(({ data }) => place(data().byteLength));
  const workspaces = variant.workspaces.map(place);
  const scratch = Array.from({ length: threads }, () => place(scratchBytes));
  return { bytes: end, tensors, constants, workspaces, scratch };
}

/** Bytes that changed outside `allowed`. */
function findTrespasses(before: Uint8Array, after: Uint8Array, allowed: readonly Block[]): string[] {
  const blocks = [...allowed].sort((a, b) => a.address - b.address);
  let from = 0;
  for (const { address, bytes } of [...blocks, { address: before.length, bytes: 0 }]) {
    for (let i = from; i < address; i++) {
      if (before[i] !== after[i])
        return [`byte ${i} was written, outside the output (${before[i]} became ${after[i]})`];
    }
    from = address + bytes;
  }
  return [];
}

/**
 * The cases with inputs of 7 bits around the zero point: what the relaxed dot takes in every engine that has it.
 */
export function narrowCases(cases: readonly OperationCase[]): OperationCase[] {
  return cases.map((each) => {
    const inputs = [...each.inputs].map(([id, data]) => {
      const { zeroPoint, image } = each.program.tensors[id];
      const lo = Math.max(-128, Math.min(zeroPoint - 64, 0));
      const stored = (image[2] + 3) & ~3;
      const narrow = data.map((x, i) => (i % stored < image[2] ? lo + ((x + 128) >> 1) : zeroPoint));
      return [id, narrow] as const;
    });
    return { ...each, inputs: new Map(inputs) };
  });
}
