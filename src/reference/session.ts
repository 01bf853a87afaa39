/** The reference backend: plain loops on the CPU, the truth that the other backends are held to. */
import { DeviceError, InputError } from '../errors.ts';
import type {
  Backend,
  Session,
  SessionInput,
  SessionResult,
  SessionRunOptions,
} from '../schedule/session.ts';
import { createOperatorRegistry, type OperatorRegistry } from '../ops/registry.ts';
import {
  type IntegerProgram,
  type ProgramTensor,
  type TensorBuffer,
  tensorBuffer,
  type TensorId,
} from '../program/program.ts';
import { programConstantBytes } from '../schedule/constants.ts';
import { planStages } from '../schedule/execution-plan.ts';
import type { ExecutionPlan } from '../schedule/execution-plan.ts';
import { checkBatch, checkRun, writeInput } from '../schedule/session-input.ts';

/** Runs `program` on the calling thread. */
export function createReferenceSession(
  program: IntegerProgram,
  operators: OperatorRegistry = createOperatorRegistry(),
): Session {
  const tensors = new Map(program.tensors.map((tensor) => [tensor.id, tensor]));
  const lastUses = lastUsesOf(program);
  let disposed = false;

  function tensorOf(id: TensorId): ProgramTensor {
    const tensor = tensors.get(id);
    if (!tensor) throw new InputError(`the program has no tensor ${id}`);
    return tensor;
  }

  async function run(
    inputs: ReadonlyMap<TensorId, SessionInput>,
    { batch, signal, tensors: asked = [] }: SessionRunOptions,
    onTime?: (step: number, ms: number) => void,
  ): Promise<SessionResult> {
    if (disposed) throw disposedError();
    checkRun(program, inputs, batch);
    checkBatch(batch, program.tensors);
    const kept = new Set([...program.outputs.map((output) => output.tensor), ...asked]);
    for (const id of kept) tensorOf(id);
    const start = performance.now();
    const buffers = new Map<TensorId, TensorBuffer>();
    for (const { tensor: id } of program.inputs) {
      const tensor = tensorOf(id);
      // A copy, so that outputs never share memory with the caller's arrays.
      const data = allocate(tensor, batch);
      writeInput(tensor, inputs.get(id)!, data);
      buffers.set(id, data);
    }
    const uploaded = performance.now();
    const context = {
      batch,
      tensor: tensorOf,
      buffer(id: TensorId): TensorBuffer {
        const buffer = buffers.get(id);
        if (!buffer) throw new InputError(`tensor "${tensorOf(id).name}" is read before it is written`);
        return buffer;
      },
    };
    for (const [step, operation] of program.operations.entries()) {
      // Lets an abort, or a call of dispose(), be heard between two operations.
      if (signal) await new Promise((resolve) => setTimeout(resolve));
      signal?.throwIfAborted();
      if (disposed) throw disposedError();
      const output = tensorOf(operation.output);
      buffers.set(output.id, allocate(output, batch));
      const before = performance.now();
      operators.of(operation).reference(operation, context);
      onTime?.(step, performance.now() - before);
      for (const id of lastUses[step]) if (!kept.has(id)) buffers.delete(id);
    }
    const result = new Map([...kept].map((id) => [id, context.buffer(id)]));
    const timings = { uploadMs: uploaded - start, computeMs: performance.now() - uploaded, readbackMs: 0 };
    return { tensors: result, timings };
  }

  const dispose = () => {
    disposed = true;
  };
  return {
    backend: 'reference',
    adapter: null,
    threads: null,
    prepare: (batches) =>
      Promise.resolve().then(() => {
        for (const batch of batches) checkBatch(batch, program.tensors);
      }),
    run: (inputs, options) => run(inputs, options),
    // A wrong batch rejects, as it does in the other sessions.
    plan: (batch) =>
      Promise.resolve().then(() => {
        checkBatch(batch, program.tensors);
        return { plan: planReference(program, batch), constantBytes: programConstantBytes(program) };
      }),
    profile: async (batch, repetitions, { signal, onProgress } = {}) => {
      checkBatch(batch, program.tensors);
      const inputs = new Map(
        program.inputs.map(({ tensor }): [TensorId, SessionInput] => {
          const data = allocate(tensorOf(tensor), batch);
          return [
            tensor,
            data instanceof Int8Array
              ? { kind: 'quantized', data }
              : { kind: 'reals', data: data as Float32Array },
          ];
        }),
      );
      const samples: number[][] = program.operations.map(() => []);
      const options = { batch, ...(signal && { signal }) };
      for (let done = 0; done < repetitions; done++) {
        onProgress?.({ stage: 'profile', done, total: repetitions });
        await run(inputs, options, (step, ms) => samples[step].push(ms));
      }
      onProgress?.({ stage: 'profile', done: repetitions, total: repetitions });
      return { method: 'clock', samples, peak: {} };
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** Sessions of it share nothing. */
export function createReferenceBackend(operators: OperatorRegistry): Backend {
  return {
    name: 'reference',
    adapter: null,
    threads: null,
    session: (program) => createReferenceSession(program, operators),
    dispose: () => undefined,
  };
}

/** Bytes of a vector of the CPU. */
const ALIGNMENT = 16;

/** One host stage. */
function planReference(program: IntegerProgram, batch: number): ExecutionPlan {
  return planStages({
    program,
    batch,
    keep: [],
    memory: { alignment: ALIGNMENT, separate: false },
    hostSharesMemory: true,
    pixelsOf: () => null,
    variantOf: () => null,
    workOf: () => [],
  });
}

function allocate(tensor: ProgramTensor, batch: number): TensorBuffer {
  try {
    return tensorBuffer(tensor, batch);
  } catch (cause) {
    throw new DeviceError(`there is no memory for tensor "${tensor.name}": use a smaller batch`, { cause });
  }
}

function disposedError(): DeviceError {
  return new DeviceError('the session has been disposed of: load the model again');
}

/** For each operation, the tensors that no later one reads: their memory can go. */
function lastUsesOf(program: IntegerProgram): TensorId[][] {
  const last = new Map<TensorId, number>();
  program.operations.forEach(({ inputs, output }, step) => {
    for (const id of [...inputs, output]) last.set(id, step);
  });
  const uses: TensorId[][] = program.operations.map(() => []);
  for (const [id, step] of last) uses[step].push(id);
  return uses;
}
