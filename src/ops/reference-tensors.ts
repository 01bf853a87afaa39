import { DeviceError } from '../errors.ts';
import { tensorBuffer } from '../program/program.ts';
import type { Operation, ProgramTensor, TensorBuffer, TensorId } from '../program/program.ts';
import type { OperatorRegistry } from './registry.ts';

/** The tensors of a run that are in JavaScript's memory, for references to work on. */
export class ReferenceTensors {
  readonly #tensors: readonly ProgramTensor[];
  readonly #batch: number;
  readonly #buffers = new Map<TensorId, TensorBuffer>();

  /** @param tensors of the program, by id */
  constructor(tensors: readonly ProgramTensor[], batch: number) {
    this.#tensors = tensors;
    this.#batch = batch;
  }

  /**
   * Memory for a tensor, zeroed.
   * @throws {DeviceError} there is none
   */
  allocate(id: TensorId): TensorBuffer {
    const tensor = this.#tensors[id];
    try {
      const buffer = tensorBuffer(tensor, this.#batch);
      this.#buffers.set(id, buffer);
      return buffer;
    } catch (cause) {
      throw new DeviceError(`there is no memory for tensor "${tensor.name}": use a smaller batch`, { cause });
    }
  }

  get(id: TensorId): TensorBuffer {
    return this.#buffers.get(id)!;
  }

  has(id: TensorId): boolean {
    return this.#buffers.has(id);
  }

  delete(id: TensorId): void {
    this.#buffers.delete(id);
  }

  /** Runs an operation, whose inputs are there, by its reference. */
  run(operation: Operation, operators: OperatorRegistry): void {
    this.allocate(operation.output);
    operators.of(operation).reference(operation, {
      batch: this.#batch,
      tensor: (id) => this.#tensors[id],
      buffer: (id) => this.get(id),
    });
  }
}
