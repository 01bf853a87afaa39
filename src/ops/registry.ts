import { InputError, ModelError } from '../errors.ts';
import type { Operation } from '../program/program.ts';
import { averagePool2d } from './averagePool2d/index.ts';
import { binary } from './binary/index.ts';
import { constant } from './constant/index.ts';
import { conv2d } from './conv2d/index.ts';
import { dequantize } from './dequantize/index.ts';
import type { FloatKernels } from '../program/host.ts';
import { hostOperator } from './host/index.ts';
import { lookup } from './lookup/index.ts';
import { matMul } from './matMul/index.ts';
import { maxPool2d } from './maxPool2d/index.ts';
import { move } from './move/index.ts';
import type { Operator } from './operator.ts';
import { quantize } from './quantize/index.ts';
import { reduce } from './reduce/index.ts';
import { resize } from './resize/index.ts';
import { softmax } from './softmax/index.ts';

/** Operators that come with Octet and whose rows are in the first table (graph/operators/registry.ts), in the order of their folders. */
export const commonOperators: readonly Operator[] = [
  averagePool2d,
  binary,
  constant,
  conv2d,
  dequantize,
  hostOperator(),
  lookup,
  matMul,
  maxPool2d,
  move,
  quantize,
  reduce,
  resize,
  softmax,
];

/** Operators by the `kind` of their operations. Immutable. */
export interface OperatorRegistry {
  readonly operators: readonly Operator[];
  /** @throws ModelError where no operator runs operations of this kind */
  of(operation: Operation): Operator;
}

/**
 * Common operators, and others: `moreOperators`, a user's own. There is no global table: whoever loads a model passes its extra
 * operators, so that two models on a page cannot change each other.
 *
 * @param kernels what convolutions and matrix products on the host are computed by. Default: plain loops
 * @throws InputError where two operators share a kind
 */
export function createOperatorRegistry(
  extra: readonly Operator[] = [],
  kernels?: FloatKernels,
): OperatorRegistry {
  const host = hostOperator(kernels);
  const builtin = commonOperators.map((operator) => (operator.kind === host.kind ? host : operator));
  const operators = [...builtin, ...extra];
  const byKind = new Map<string, Operator>();
  for (const operator of operators) {
    if (byKind.has(operator.kind)) {
      throw new InputError(`two operators are called "${operator.kind}": give yours a kind of its own`);
    }
    byKind.set(operator.kind, operator);
  }
  return {
    operators,
    of(operation) {
      const operator = byKind.get(operation.kind);
      if (operator) return operator;
      const reason = `no operator runs operations of kind "${operation.kind}": pass it where the model is loaded`;
      throw new ModelError([{ node: operation.name, op: operation.kind, reason }]);
    },
  };
}
