/** What the GPU suites share. They run in Node and in a page alike: no Node imports here. */
import { moreOperators } from '../../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../../src/ops/registry.ts';
import { elementCount } from '../../../src/program/program.ts';
import type { IntegerProgram, TensorId } from '../../../src/program/program.ts';
import type { SessionInput } from '../../../src/schedule/session.ts';
import { adapterName } from '../../../src/webgpu/adapter.ts';
import { openDevice } from '../../../src/webgpu/device.ts';
import type { OpenDevice } from '../../../src/webgpu/device.ts';
import { createRandom } from '../../support/random.ts';

export interface SuiteEnvironment {
  /** Bytes of a file of this repository. */
  read(path: string): Promise<Uint8Array>;
  /** Every variant of every case, and random cases. Minutes on a GPU or on lavapipe, the better part of an hour on SwiftShader. */
  readonly thorough?: boolean;
}

/** What a suite found; crosses from the page to the test, so it is plain data. */
export interface SuiteReport {
  readonly adapter: string;
  /** Comparisons or checks that ran on the GPU. */
  readonly cases: number;
  readonly failures: readonly string[];
}

export type Suite = (environment: SuiteEnvironment) => Promise<SuiteReport>;

export const registry = createOperatorRegistry(moreOperators);

/** Counts checks and collects what fails, each under a name. */
export class Checks {
  cases = 0;
  readonly failures: string[] = [];

  that(holds: boolean, what: string): void {
    this.cases++;
    if (!holds) this.failures.push(what);
  }

  /** Runs a part of a suite; what it throws is a failure, not the end. */
  async part(name: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.failures.push(
        `${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    }
  }

  /** Checks that a promise rejects with an error of this name whose message matches. */
  async rejects(what: string, promise: Promise<unknown>, name: string, message: RegExp): Promise<void> {
    try {
      await promise;
      this.that(false, `${what}: it should have been rejected`);
    } catch (error) {
      const { name: actual, message: text } = error as Error;
      this.that(actual === name && message.test(text), `${what}: unexpected ${actual}: ${text}`);
    }
  }
}

/** A device of the suite's own, which `use` may also lose; nothing outside error scopes may go wrong on it. */
export async function withDevice<T>(use: (open: OpenDevice) => Promise<T>): Promise<T> {
  const open = await openDevice({});
  try {
    const result = await use(open);
    const failure = open.failure();
    if (failure) throw failure;
    return result;
  } finally {
    open.close();
  }
}

export function describeAdapter(open: OpenDevice): string {
  return `${adapterName(open.adapter)} (${open.adapter.adapterClass}; ${open.adapter.packedDot.reason})`;
}

/** Quantized inputs that a seed repeats; extremes are as frequent as all the rest. */
export function randomInputs(
  program: IntegerProgram,
  batch: number,
  seed: number,
): Map<TensorId, SessionInput> {
  const random = createRandom(seed);
  return new Map(
    program.inputs.map(({ tensor: id }) => {
      const tensor = program.tensors[id];
      const [, , channels] = tensor.image;
      const stored = (channels + 3) & ~3;
      const data = new Int8Array(elementCount(tensor, batch));
      for (let i = 0; i < data.length; i++) {
        const value = random.chance(0.5) ? random.pick([-128, 127, tensor.zeroPoint]) : random.int(-128, 127);
        data[i] = i % stored < channels ? value : tensor.zeroPoint;
      }
      return [id, { kind: 'quantized', data }];
    }),
  );
}

/** Counts what is alive on a device. */
export interface LiveCount {
  buffers: number;
  bytes: number;
  querySets: number;
}

/** Wraps the device's creating calls, so that `LiveCount` follows every buffer and query set made from here on. */
export function countLive(device: GPUDevice): LiveCount {
  const live: LiveCount = { buffers: 0, bytes: 0, querySets: 0 };
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    let alive = true;
    live.buffers++;
    live.bytes += descriptor.size;
    buffer.destroy = () => {
      if (alive) {
        alive = false;
        live.buffers--;
        live.bytes -= descriptor.size;
      }
      return destroy();
    };
    return buffer;
  };
  const createQuerySet = device.createQuerySet.bind(device);
  device.createQuerySet = (descriptor) => {
    const set = createQuerySet(descriptor);
    const destroy = set.destroy.bind(set);
    live.querySets++;
    set.destroy = () => {
      live.querySets--;
      return destroy();
    };
    return set;
  };
  return live;
}
