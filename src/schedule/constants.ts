import type { IntegerProgram, Operation } from '../program/program.ts';

/** Bytes of weights, biases and tables, as the program holds them. */
export function programConstantBytes({ operations }: IntegerProgram): number {
  return operations.reduce((bytes, operation) => bytes + constantBytes(operation), 0);
}

/** Of an operation's. */
export function constantBytes(operation: Operation): number {
  return bytesIn(operation);
}

function bytesIn(value: object): number {
  return Object.values(value).reduce<number>((bytes, each: unknown) => {
    if (ArrayBuffer.isView(each)) return bytes + each.byteLength;
    return typeof each === 'object' && each !== null ? bytes + bytesIn(each) : bytes;
  }, 0);
}
