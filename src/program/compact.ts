import type { IntegerProgram, TensorId } from './program.ts';

/**
 * Drops operations that no output depends on and tensors that nothing names, and numbers the rest in order.
 */
export function compact(program: IntegerProgram): IntegerProgram {
  const needed = new Set(program.outputs.map(({ tensor }) => tensor));
  const operations = program.operations
    .toReversed()
    .filter(({ inputs, output }) => {
      if (!needed.has(output)) return false;
      for (const id of inputs) needed.add(id);
      return true;
    })
    .reverse();
  for (const { tensor } of program.inputs) needed.add(tensor);
  const ids = new Map<TensorId, TensorId>();
  const tensors = program.tensors
    .filter(({ id }) => needed.has(id))
    .map((tensor, id) => {
      ids.set(tensor.id, id);
      return { ...tensor, id };
    });
  const renumber = (id: TensorId) => ids.get(id)!;
  return {
    ...program,
    tensors,
    operations: operations.map((operation) => ({
      ...operation,
      inputs: operation.inputs.map(renumber),
      output: renumber(operation.output),
    })),
    inputs: program.inputs.map((input) => ({ ...input, tensor: renumber(input.tensor) })),
    outputs: program.outputs.map((output) => ({ ...output, tensor: renumber(output.tensor) })),
  };
}
