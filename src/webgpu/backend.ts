/** The WebGPU backend: a device, its compiled kernels and packed weights, shared by the sessions of several programs. */
import type { OperatorRegistry } from '../ops/registry.ts';
import type { IntegerProgram } from '../program/program.ts';
import type { AdapterDescription, Backend } from '../schedule/session.ts';
import type { AsyncOptions } from '../progress.ts';
import { ConstantCache } from './constants.ts';
import { openDevice } from './device.ts';
import type { DeviceOptions, OpenDevice } from './device.ts';
import { PipelineCache } from './pipelines.ts';
import { disposedError, GpuSession } from './session.ts';
import type { WebgpuSession } from './session.ts';
import { Tuner } from './tuner.ts';
import type { TuneMode } from './tuner.ts';
import { untilAborted } from './until-aborted.ts';

export interface WebgpuBackendOptions extends DeviceOptions, AsyncOptions {
  readonly tune?: TuneMode | undefined;
}

export interface WebgpuSessionOptions extends WebgpuBackendOptions {
  /** Batch sizes to prepare before the first run. Default [1]. */
  readonly batches?: readonly number[] | undefined;
}

export interface WebgpuBackend extends Backend {
  readonly name: 'webgpu';
  readonly adapter: AdapterDescription;
  session(program: IntegerProgram, isOnly?: boolean): WebgpuSession;
}

/** A device in use, and what programs share on it. */
export interface SharedDevice {
  readonly open: OpenDevice;
  readonly pipelines: PipelineCache;
  readonly constants: ConstantCache;
  readonly tuner: Tuner;
}

/**
 * Opens a device and prepares the program on it. Disposing of the session closes the device.
 * @throws {DeviceError} no adapter, or not enough memory
 */
export async function createWebgpuSession(
  program: IntegerProgram,
  operators: OperatorRegistry,
  options: WebgpuSessionOptions = {},
): Promise<WebgpuSession> {
  const { batches = [1], signal } = options;
  const backend = await openWebgpuBackend(operators, options);
  const session = backend.session(program, true);
  try {
    await untilAborted(session.prepare(batches, options), signal);
  } catch (error) {
    session.dispose();
    throw error;
  }
  return session;
}

/** @throws {DeviceError} no adapter, or it gives no device */
export async function openWebgpuBackend(
  operators: OperatorRegistry,
  options: WebgpuBackendOptions = {},
): Promise<WebgpuBackend> {
  const backend = new GpuBackend(operators, options);
  try {
    await untilAborted(backend.device(), options.signal);
  } catch (error) {
    backend.dispose();
    throw error;
  }
  return backend;
}

export class GpuBackend implements WebgpuBackend {
  readonly name = 'webgpu';
  readonly threads = null;
  readonly operators: OperatorRegistry;
  readonly options: WebgpuBackendOptions;
  #opening: Promise<SharedDevice> | undefined;
  #open: OpenDevice | undefined;
  #disposed = false;

  constructor(operators: OperatorRegistry, options: WebgpuBackendOptions) {
    this.operators = operators;
    this.options = options;
  }

  get adapter(): AdapterDescription {
    return this.#open!.adapter;
  }

  /** @param isOnly whether disposing of the session disposes of the backend */
  session(program: IntegerProgram, isOnly = false): WebgpuSession {
    return new GpuSession(program, this, () => {
      if (isOnly) this.dispose();
    });
  }

  /** The device that is in use. One that was lost, and not the user's, is replaced first. */
  device(): Promise<SharedDevice> {
    if (this.#disposed) return Promise.reject(disposedError());
    this.#opening ??= this.#openDevice();
    return this.#opening;
  }

  async #openDevice(): Promise<SharedDevice> {
    try {
      const open = await openDevice(this.options);
      if (this.#disposed) {
        open.close();
        throw disposedError();
      }
      this.#open = open;
      // The next run opens another device, unless this one is the user's: then every run reports the loss.
      void open.lost.then(() => {
        if (open.owned && this.#open === open) this.#opening = undefined;
        open.close();
      });
      const pipelines = new PipelineCache(open.device);
      const constants = new ConstantCache(open.device);
      const tuner = new Tuner(open, pipelines, constants, this.options.tune ?? 'off');
      return { open, pipelines, constants, tuner };
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#open?.close();
  }
}
