/**
 * Every GPU kernel variant against the reference, byte for byte. No Node imports: the browser harness runs the same list.
 */
import type { GpuCapabilities, GpuKernel, GpuVariant } from '../../src/ops/gpu-kernel.ts';
import type { TensorBuffer } from '../../src/ops/operator.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { fullCases, type OperationCase, quickCases } from '../support/cases.ts';
import { runVariant } from '../support/gpu.ts';
import { compareBuffers } from '../support/report.ts';

export interface KernelSuiteOptions {
  /**
   * Every variant of every case, and `extra` random cases more. Otherwise each case runs with the default variant of a software adapter,
   * that of a GPU, and the variant that has been run least so far: compiling takes a software adapter most of the time.
   */
  readonly thorough?: boolean;
  readonly extra?: number;
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

/** Cases in flight: compilation is what takes time, and it runs on the device's threads. */
const CONCURRENCY = 3;

export async function runKernelSuite(
  device: GPUDevice,
  { thorough = false, extra = 0, filter }: KernelSuiteOptions = {},
): Promise<KernelSuiteResult> {
  const registry = createOperatorRegistry();
  const failures: string[] = [];
  const variants = new Map<string, number>();
  let cases = 0;

  const runCase = async (test: OperationCase) => {
    const operation = test.program.operations[0]!;
    const kernel = registry.of(operation).webgpu as GpuKernel;
    const tensor = (id: number) => test.program.tensors[id]!;
    const key = ({ name }: GpuVariant) => `${test.kind} ${name}`;
    const [software, discrete] = (['software', 'discrete'] as const).map((adapterClass) =>
      kernel.variants(operation, tensor, test.batch, capabilitiesOf(device, adapterClass)),
    );
    const all = [...new Map([...software!, ...discrete!].map((v) => [v.name, v])).values()];
    for (const variant of all) if (!variants.has(key(variant))) variants.set(key(variant), 0);
    const rare = all.reduce((a, b) => (variants.get(key(b))! < variants.get(key(a))! ? b : a));
    const wanted = thorough ? all : new Set([rare.name, software![0]!.name, discrete![0]!.name]);
    const chosen = (thorough ? all : all.filter(({ name }) => (wanted as Set<string>).has(name))).filter(
      ({ name }) => !filter || filter.test(`${test.name} · ${name}`),
    );
    if (chosen.length === 0) return;
    for (const variant of chosen) variants.set(key(variant), variants.get(key(variant))! + 1);
    const expected = await referenceOutput(test);
    for (const variant of chosen) {
      cases++;
      try {
        const actual = await runVariant(device, variant, tensor, operation.output, test.inputs, test.batch);
        const subject = { kernel: test.kind, variant: variant.name, seed: test.name };
        const report = compareBuffers(subject, tensor(operation.output), test.batch, actual, expected);
        if (report) failures.push(report);
      } catch (error) {
        failures.push(`${test.name} · ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };

  const queue = (thorough ? fullCases(extra) : quickCases()).values();
  const worker = async () => {
    for (const test of queue) await runCase(test);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return { cases, failures, variants };
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
  const session = createReferenceSession(program);
  const quantized = new Map([...inputs].map(([id, data]) => [id, { kind: 'quantized', data }] as const));
  const { tensors } = await session.run(quantized, { batch });
  return tensors.get(program.operations[0]!.output)!;
}
