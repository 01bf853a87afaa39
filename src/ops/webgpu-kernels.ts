/** The WebGPU kernels of the built-in operators. Apart from `registry.ts`, so that they come with the backend that runs them. */
import { webgpuKernel as argMax } from './argMax/webgpu.ts';
import { webgpuKernel as averagePool2d } from './averagePool2d/webgpu.ts';
import { webgpuKernel as binary } from './binary/webgpu.ts';
import { webgpuKernel as constant } from './constant/webgpu.ts';
import { webgpuKernel as conv2d } from './conv2d/webgpu.ts';
import { webgpuKernel as logSoftmax } from './logSoftmax/webgpu.ts';
import { webgpuKernel as lookup } from './lookup/webgpu.ts';
import { webgpuKernel as matMul } from './matMul/webgpu.ts';
import { webgpuKernel as maxPool2d } from './maxPool2d/webgpu.ts';
import { webgpuKernel as move } from './move/webgpu.ts';
import { webgpuKernel as normalize } from './normalize/webgpu.ts';
import { webgpuKernel as reduce } from './reduce/webgpu.ts';
import { webgpuKernel as resize } from './resize/webgpu.ts';
import { webgpuKernel as softmax } from './softmax/webgpu.ts';
import type { OperatorRegistry } from './registry.ts';
import type { GpuKernel } from './gpu-kernel.ts';
import type { Operation } from '../program/program.ts';

/** By the `kind` of their operations. */
export const webgpuKernels: Readonly<Record<string, GpuKernel>> = {
  argMax,
  averagePool2d,
  binary,
  constant,
  conv2d,
  logSoftmax,
  lookup,
  matMul,
  maxPool2d,
  move,
  normalize,
  reduce,
  resize,
  softmax,
};

/** The kernel of an operation: its operator's own, or the built-in one; undefined where it has none. */
export function webgpuKernelOf(operators: OperatorRegistry, operation: Operation): GpuKernel | undefined {
  const { kind, webgpu } = operators.of(operation);
  return webgpu ?? (Object.hasOwn(webgpuKernels, kind) ? webgpuKernels[kind] : undefined);
}
