/** The WebAssembly kernels of the built-in operators. Apart from `registry.ts`, so that they come with the backend that runs them. */
import { wasmKernel as argMax } from './argMax/wasm.ts';
import { wasmKernel as averagePool2d } from './averagePool2d/wasm.ts';
import { wasmKernel as binary } from './binary/wasm.ts';
import { wasmKernel as constant } from './constant/wasm.ts';
import { wasmKernel as conv2d } from './conv2d/wasm.ts';
import { wasmKernel as logSoftmax } from './logSoftmax/wasm.ts';
import { wasmKernel as lookup } from './lookup/wasm.ts';
import { wasmKernel as matMul } from './matMul/wasm.ts';
import { wasmKernel as maxPool2d } from './maxPool2d/wasm.ts';
import { wasmKernel as move } from './move/wasm.ts';
import { wasmKernel as normalize } from './normalize/wasm.ts';
import { wasmKernel as reduce } from './reduce/wasm.ts';
import { wasmKernel as resize } from './resize/wasm.ts';
import { wasmKernel as softmax } from './softmax/wasm.ts';
import type { OperatorRegistry } from './registry.ts';
import type { WasmKernel } from './wasm-kernel.ts';
import type { Operation } from '../program/program.ts';

/** By the `kind` of their operations. */
export const wasmKernels: Readonly<Record<string, WasmKernel>> = {
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
export function wasmKernelOf(operators: OperatorRegistry, operation: Operation): WasmKernel | undefined {
  const { kind, wasm } = operators.of(operation);
  return wasm ?? (Object.hasOwn(wasmKernels, kind) ? wasmKernels[kind] : undefined);
}
