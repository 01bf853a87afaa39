import { byteCount, type IntegerProgram } from '../program/program.ts';
import type { PlannedTensor, Step } from './plan.ts';

/** Tensors of a program as the memory planner takes them, for `batch` images. */
export function plannedTensors(program: IntegerProgram, batch: number): PlannedTensor[] {
  return program.tensors.map((tensor) => ({
    id: tensor.id,
    name: tensor.name,
    bytes: byteCount(tensor, batch),
  }));
}

/**
 * Steps of a program: one that writes its inputs, one an operation, one that reads its outputs, so that
 * inputs live from the start and outputs to the end. Operation i is step i + 1.
 */
export function stepsOf(program: IntegerProgram): Step[] {
  return [
    { name: 'input', reads: [], writes: program.inputs.map(({ tensor }) => tensor) },
    ...program.operations.map(({ name, inputs, output }) => ({ name, reads: inputs, writes: [output] })),
    { name: 'output', reads: program.outputs.map(({ tensor }) => tensor), writes: [] },
  ];
}
