/**
 * Every GPU kernel variant against the reference, byte for byte. No Node imports: the browser harness runs the same list.
 */
import type { GpuCapabilities, GpuVariant } from '../../src/ops/gpu-kernel.ts';
import type { TensorBuffer } from '../../src/program/program.ts';
import { moreOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { webgpuKernelOf } from '../../src/ops/webgpu-kernels.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { fullCases, type OperationCase, quickCases } from './cases.ts';
import { compileVariant, runVariant } from './gpu.ts';
import { compareBuffers } from './report.ts';

export interface KernelSuiteOptions {
  /**
   * Every variant of every case, and `extra` random cases more. Otherwise each case runs with the variant that has been run least
   * so far, since a software adapter takes about a second to compile one: all variants meet awkward cases, but not each with each.
   */
  readonly thorough?: boolean;
  readonly extra?: number;
  /** Every second case, the first (0) or the second (1) of each two. */
  readonly half?: 0 | 1;
  /** Only where `case · variant` matches. */
  readonly filter?: RegExp;
}

export interface KernelSuiteResult {
  /** Variants run, over all cases. */
  readonly cases: number;
  /** One report each (test/support/report.ts). */
  readonly failures: readonly string[];
  /** How often each variant was run, by `kind variant`; 0 for those that no case ran. */
  readonly variants: ReadonlyMap<string, number>;
}

/** Cases in flight: compiling takes most of the time, and is done on the device's own threads. */
const CONCURRENCY = 3;

export async function runKernelSuite(
  device: GPUDevice,
  { thorough = false, extra = 0, half, filter }: KernelSuiteOptions = {},
): Promise<KernelSuiteResult> {
  const registry = createOperatorRegistry(moreOperators);
  const failures: string[] = [];
  const variants = new Map<string, number>();
  let cases = 0;
  /** Runs follow one another, so that each sees only its own errors. */
  let turn: Promise<unknown> = Promise.resolve();

  const runCase = async (test: OperationCase) => {
    const operation = test.program.operations[0];
    const kernel = webgpuKernelOf(registry, operation)!;
    const tensor = (id: number) => test.program.tensors[id];
    const key = ({ name }: GpuVariant) => `${test.kind} ${name}`;
    // What a software adapter and what a GPU would choose from.
    const candidates = (['software', 'discrete'] as const).flatMap((adapterClass) =>
      kernel.variants(operation, tensor, test.batch, capabilitiesOf(device, adapterClass)),
    );
    const all = [...new Map(candidates.map((variant) => [variant.name, variant])).values()];
    for (const variant of all) if (!variants.has(key(variant))) variants.set(key(variant), 0);
    const runs = (variant: GpuVariant) => variants.get(key(variant))! * compileCost(variant);
    const rarest = all.reduce((a, b) => (runs(b) < runs(a) ? b : a));
    const chosen = (thorough ? all : [rarest]).filter(
      ({ name }) => !filter || filter.test(`${test.name} · ${name}`),
    );
    if (chosen.length === 0) return;
    for (const variant of chosen) variants.set(key(variant), variants.get(key(variant))! + 1);
    const expected = await referenceOutput(test);
    for (const variant of chosen) {
      cases++;
      try {
        await compileVariant(device, variant);
        const run = turn.then(() =>
          runVariant(device, variant, tensor, operation.output, test.inputs, test.batch),
        );
        turn = run.catch(() => undefined);
        const actual = await run;
        const subject = { kernel: test.kind, variant: variant.name, seed: test.name };
        const report = compareBuffers(subject, tensor(operation.output), test.batch, actual, expected);
        if (report) failures.push(report);
      } catch (error) {
        failures.push(`${test.name} · ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };

  const all = thorough ? fullCases(extra) : quickCases();
  const queue = all.filter((_, i) => half === undefined || i % 2 === half).values();
  const worker = async () => {
    for (const test of queue) await runCase(test);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return { cases, failures, variants };
}

/** Tiled kernels take a software adapter five times as long to compile as the others (barriers, and long loaders). */
function compileCost({ name }: GpuVariant): number {
  return name.startsWith('tiled') ? 5 : 1;
}

/** The device as if it were of a class, so that a software adapter also runs what GPUs would choose. */
function capabilitiesOf(device: GPUDevice, adapterClass: GpuCapabilities['adapterClass']): GpuCapabilities {
  return {
    adapterClass,
    packedDot: true,
    // The quad kernel's shuffles want the feature; the software adapters that have it run four lanes.
    subgroupSize: device.features.has('subgroups') ? 4 : 0,
    limits: device.limits,
  };
}

async function referenceOutput({ program, batch, inputs }: OperationCase): Promise<TensorBuffer> {
  const session = createReferenceSession(program, createOperatorRegistry(moreOperators));
  const quantized = new Map([...inputs].map(([id, data]) => [id, { kind: 'quantized', data }] as const));
  const { tensors } = await session.run(quantized, { batch });
  return tensors.get(program.operations[0].output)!;
}
