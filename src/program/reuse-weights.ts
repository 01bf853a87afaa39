/** Programs of one network at several sizes have its weights in common. */
import type { Conv2dOperation, IntegerProgram, Operation } from './program.ts';
import type { Weights } from './weights.ts';

/**
 * The program with the objects of `earlier` for weights that are the same: what is packed of an object is packed once. Weights that no pass
 * changed are the same objects already; those of folded or transposed layers are made anew for each program.
 */
export function reuseWeights(program: IntegerProgram, earlier: IntegerProgram): IntegerProgram {
  const known = new Map<string, Weights>();
  for (const operation of earlier.operations) {
    if (hasWeights(operation)) known.set(earlier.tensors[operation.output].name, operation.weights);
  }
  const operations = program.operations.map((operation) => {
    if (!hasWeights(operation)) return operation;
    const weights = known.get(program.tensors[operation.output].name);
    return weights && areEqual(operation.weights, weights) ? { ...operation, weights } : operation;
  });
  return { ...program, operations };
}

function hasWeights(operation: Operation): operation is Conv2dOperation {
  return operation.kind === 'conv2d';
}

function areEqual(a: Weights, b: Weights): boolean {
  const isAlike = a.outChannels === b.outChannels && a.taps === b.taps && a.inChannels === b.inChannels;
  return a === b || (isAlike && sameValues(a.zeroPoint, b.zeroPoint) && sameValues(a.rows(), b.rows()));
}

function sameValues(a: Int8Array | undefined, b: Int8Array | undefined): boolean {
  return a === b || (a?.length === b?.length && a!.every((value, i) => value === b![i]));
}
