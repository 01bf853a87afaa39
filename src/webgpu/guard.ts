/** Turns what WebGPU reports on the side (error scopes, lost devices) into exceptions. */
import { DeviceError } from '../errors.ts';

/**
 * Runs `make` inside error scopes. `make` is synchronous, so that scopes of overlapping calls do not interleave; a promise that it
 * returns is awaited afterwards.
 * @throws {DeviceError} out of memory, or a validation error, which is a defect of Octet or of a user's operator
 */
export async function guarded<T>(device: GPUDevice, what: string, make: () => T): Promise<Awaited<T>> {
  device.pushErrorScope('validation');
  device.pushErrorScope('internal');
  device.pushErrorScope('out-of-memory');
  let made: T;
  let errors: Promise<(GPUError | null)[]>;
  try {
    made = make();
  } finally {
    errors = Promise.all([device.popErrorScope(), device.popErrorScope(), device.popErrorScope()]);
    // Where `make` throws, its exception is the one to report.
    errors.catch(() => undefined);
  }
  const [value, reported] = await Promise.allSettled([made, errors]);
  if (reported.status === 'fulfilled') {
    const [memory, internal, validation] = reported.value;
    if (memory)
      throw new DeviceError(
        `${what}: the GPU is out of memory; use a smaller batch, or dispose of models that are no longer needed`,
        { cause: memory },
      );
    const error = validation ?? internal;
    if (error) throw new DeviceError(`${what}: WebGPU refused it: ${error.message}`, { cause: error });
  }
  if (value.status === 'rejected') {
    throw new DeviceError(
      `${what}: ${value.reason instanceof Error ? value.reason.message : String(value.reason)}`,
      {
        cause: value.reason,
      },
    );
  }
  return value.value;
}
