import { byteCount, type IntegerProgram, type Operation } from '../program/program.ts';

/** Bytes of weights, biases and tables, as the program holds them. */
export function programConstantBytes({ operations }: IntegerProgram): number {
  return operations.reduce((bytes, operation) => bytes + constantBytes(operation), 0);
}

/** Of an operation's. */
export function constantBytes(operation: Operation): number {
  return bytesIn(operation);
}

/** Bytes that an operation must move for `batch` images: activations in and out, and its constants, each once. */
export function trafficBytes(program: IntegerProgram, operation: Operation, batch: number): number {
  const ids = [...operation.inputs, operation.output];
  const activations = ids.reduce((sum, id) => sum + byteCount(program.tensors[id], batch), 0);
  return activations + constantBytes(operation);
}

function bytesIn(value: object): number {
  return Object.values(value).reduce<number>((bytes, each: unknown) => {
    if (ArrayBuffer.isView(each)) return bytes + each.byteLength;
    return typeof each === 'object' && each !== null ? bytes + bytesIn(each) : bytes;
  }, 0);
}
