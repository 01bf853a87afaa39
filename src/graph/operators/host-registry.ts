/**
 * Rows of operators that only host stages compute. They are not in the table that every page loads: who reads a model that
 * has one of them fetches this module.
 */
import { ceil } from './ceil.ts';
import type { OnnxOperator } from './operator.ts';
import { onnxOperators } from './registry.ts';

export const hostOperators: readonly OnnxOperator[] = [ceil] as readonly OnnxOperator[];

/** Every row, by ONNX type. */
export const allOperators: ReadonlyMap<string, OnnxOperator> = new Map(
  [...onnxOperators.values(), ...hostOperators]
    .map((row): [string, OnnxOperator] => [row.op, row])
    .sort(([a], [b]) => (a < b ? -1 : 1)),
);
