/**
 * Every GPU kernel variant against the reference, byte for byte. No Node imports: the browser harness runs the same list.
 */
import type { GpuCapabilities, GpuVariant } from '../../src/ops/gpu-kernel.ts';
import type { TensorBuffer } from '../../src/ops/operator.ts';
import { webgpuKernel as add } from '../../src/ops/add/webgpu.ts';
import { webgpuKernel as averagePool2d } from '../../src/ops/averagePool2d/webgpu.ts';
import { webgpuKernel as concat } from '../../src/ops/concat/webgpu.ts';
import { webgpuKernel as conv2d } from '../../src/ops/conv2d/webgpu.ts';
import { webgpuKernel as lookup } from '../../src/ops/lookup/webgpu.ts';
import { webgpuKernel as maxPool2d } from '../../src/ops/maxPool2d/webgpu.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { fullCases, type OperationCase, quickCases } from '../support/cases.ts';
import { runVariant } from '../support/gpu.ts';
import { compareBuffers } from '../support/report.ts';
import type { GpuKernel } from '../../src/ops/gpu-kernel.ts';

const KERNELS = { add, averagePool2d, concat, conv2d, lookup, maxPool2d } as unknown as Record<
  string,
  GpuKernel
>;

export interface KernelSuiteOptions {
  readonly capabilities: GpuCapabilities;
  /** Random cases beside the quick ones. */
  readonly extra?: number;
  /** Only cases and variants whose `case · variant` matches. */
  readonly filter?: RegExp;
}

export interface KernelSuiteResult {
  /** Variants run, over all cases. */
  readonly cases: number;
  readonly failures: readonly string[];
  /** How often each variant name was run. */
  readonly variants: ReadonlyMap<string, number>;
}

export async function runKernelSuite(
  device: GPUDevice,
  { capabilities, extra = 0, filter }: KernelSuiteOptions,
): Promise<KernelSuiteResult> {
  const failures: string[] = [];
  const variants = new Map<string, number>();
  let cases = 0;
  for (const test of extra > 0 ? fullCases(extra) : quickCases()) {
    const operation = test.program.operations[0]!;
    const tensor = (id: number) => test.program.tensors[id]!;
    const candidates: readonly GpuVariant[] = KERNELS[test.kind]!.variants(
      operation,
      tensor,
      test.batch,
      capabilities,
    );
    const chosen = candidates.filter(({ name }) => !filter || filter.test(`${test.name} · ${name}`));
    if (chosen.length === 0) continue;
    const expected = await referenceOutput(test);
    for (const variant of chosen) {
      cases++;
      variants.set(variant.name, (variants.get(variant.name) ?? 0) + 1);
      try {
        const actual = await runVariant(device, variant, tensor, operation.output, test.inputs, test.batch);
        const subject = { kernel: test.kind, variant: variant.name, seed: test.name };
        const report = compareBuffers(subject, tensor(operation.output), test.batch, actual, expected);
        if (report) failures.push(report);
      } catch (error) {
        failures.push(`${test.name} · ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  return { cases, failures, variants };
}

async function referenceOutput({ program, batch, inputs }: OperationCase): Promise<TensorBuffer> {
  const session = createReferenceSession(program);
  const quantized = new Map([...inputs].map(([id, data]) => [id, { kind: 'quantized', data }] as const));
  const { tensors } = await session.run(quantized, { batch });
  return tensors.get(program.operations[0]!.output)!;
}
