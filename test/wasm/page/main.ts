/** The page that runs kernels and sessions in a browser: the test calls what it puts on `window`. */
import type { RelaxedDot } from '../../../src/ops/wasm-kernel.ts';
import { createReferenceSession } from '../../../src/reference/session.ts';
import { createWasmSession } from '../../../src/wasm/backend.ts';
import { type Digests, functionDigests, modelDigests, type MODELS } from '../../engines/digests.ts';
import { quickCases } from '../../support/cases.ts';
import { randomInputs } from '../../support/program-builder.ts';
import { randomProgram } from '../../support/random-program.ts';
import { createRandom } from '../../support/random.ts';
import { KernelBench, type KernelReport, narrowCases } from '../kernel-bench.ts';

declare global {
  interface Window {
    runKernels(threads: number, relaxed: boolean): Promise<KernelReport & { relaxedDot: RelaxedDot }>;
    runSession(threads: number | undefined): Promise<{ threads: number; equal: boolean } | { error: string }>;
    functionDigests(): Promise<Digests>;
    /** @param folder address of what test/engines/prepare.ts has made */
    modelDigests(model: (typeof MODELS)[number], folder: string, threads: number): Promise<Digests>;
  }
}

window.runKernels = async (threads, relaxed) => {
  const bench = await KernelBench.open(threads, relaxed);
  try {
    const cases = quickCases();
    const report = relaxed
      ? await bench.run(
          narrowCases(cases.filter(({ kind }) => kind === 'conv2d')),
          (name) => name === 'relaxed',
        )
      : await bench.run(cases);
    return { ...report, relaxedDot: bench.relaxedDot };
  } finally {
    bench.dispose();
  }
};

window.runSession = async (threads) => {
  const program = randomProgram(7);
  const batch = 3;
  const inputs = new Map(
    [...randomInputs(program, batch, createRandom(1))].map(([id, data]) => [
      id,
      { kind: 'quantized' as const, data },
    ]),
  );
  try {
    using session = await createWasmSession(program, threads === undefined ? {} : { threads });
    const expected = await createReferenceSession(program).run(inputs, { batch });
    const { tensors } = await session.run(inputs, { batch });
    const equal = [...expected.tensors].every(([id, data]) =>
      data.every((value, i) => value === tensors.get(id)![i]),
    );
    return { threads: session.threads, equal };
  } catch (error) {
    return { error: String(error) };
  }
};

window.functionDigests = functionDigests;

window.modelDigests = (model, folder, threads) => {
  const read = async (name: string) => new Uint8Array(await (await fetch(`${folder}/${name}`)).arrayBuffer());
  return modelDigests(model, 'wasm', read, threads);
};
