/* eslint-disable @typescript-eslint/unbound-method -- the methods of the prototypes are wrapped, and called with their own this */
/**
 * Counts live GPU bytes and adds up GPU time, the same way for every engine: by wrapping WebGPU's own prototypes before any engine
 * is loaded. Timing adds timestamp writes to each compute pass, so it is on only in runs that are not otherwise timed.
 */

const QUERY_PAIRS = 2048;

export interface GpuMeter {
  /** Highest sum of bytes of live buffers and textures (4 bytes a texel) since the page was opened. */
  peakBytes(): number;
  /** GPU time of what `work` submits, in milliseconds: sum over compute passes, or null where it can't be measured. */
  time(work: () => Promise<unknown>): Promise<number | null>;
}

export function installGpuMeter(): GpuMeter | null {
  if (!('gpu' in navigator)) return null;
  let live = 0;
  let peak = 0;
  const sizes = new WeakMap<object, number>();
  const allocated = (object: object, bytes: number): void => {
    sizes.set(object, bytes);
    live += bytes;
    peak = Math.max(peak, live);
  };
  const freed = (object: object): void => {
    live -= sizes.get(object) ?? 0;
    sizes.delete(object);
  };

  const { createBuffer, createTexture } = GPUDevice.prototype;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = createBuffer.call(this, descriptor);
    allocated(buffer, descriptor.size);
    return buffer;
  };
  GPUDevice.prototype.createTexture = function (descriptor) {
    const texture = createTexture.call(this, descriptor);
    allocated(texture, texture.width * texture.height * texture.depthOrArrayLayers * 4);
    return texture;
  };
  for (const prototype of [GPUBuffer.prototype, GPUTexture.prototype] as { destroy(): undefined }[]) {
    const { destroy } = prototype;
    prototype.destroy = function (this: object) {
      freed(this);
      return destroy.call(this as never);
    };
  }

  let device: GPUDevice | undefined;
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const features = new Set(descriptor?.requiredFeatures ?? []);
    if (this.features.has('timestamp-query')) features.add('timestamp-query');
    device = await requestDevice.call(this, { ...descriptor, requiredFeatures: [...features] });
    return device;
  };

  let timing: { querySet: GPUQuerySet; used: number } | undefined;
  const { beginComputePass } = GPUCommandEncoder.prototype;
  GPUCommandEncoder.prototype.beginComputePass = function (descriptor) {
    if (!timing || descriptor?.timestampWrites || timing.used >= QUERY_PAIRS) {
      return beginComputePass.call(this, descriptor);
    }
    const first = timing.used++ * 2;
    return beginComputePass.call(this, {
      ...descriptor,
      timestampWrites: {
        querySet: timing.querySet,
        beginningOfPassWriteIndex: first,
        endOfPassWriteIndex: first + 1,
      },
    });
  };

  return {
    peakBytes: () => peak,
    async time(work) {
      const target = device;
      if (!target?.features.has('timestamp-query')) return null;
      const querySet = target.createQuerySet({ type: 'timestamp', count: QUERY_PAIRS * 2 });
      timing = { querySet, used: 0 };
      await work();
      const { used } = timing;
      timing = undefined;
      if (used === 0 || used >= QUERY_PAIRS) return null;
      const bytes = used * 16;
      const resolved = createBuffer.call(target, {
        size: bytes,
        usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
      });
      const staging = createBuffer.call(target, {
        size: bytes,
        usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
      });
      const encoder = target.createCommandEncoder();
      encoder.resolveQuerySet(querySet, 0, used * 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, bytes);
      target.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const stamps = new BigUint64Array(staging.getMappedRange().slice(0));
      staging.destroy();
      resolved.destroy();
      querySet.destroy();
      let nanoseconds = 0n;
      for (let i = 0; i < used; i++) {
        const duration = stamps[2 * i + 1] - stamps[2 * i];
        if (duration > 0n) nanoseconds += duration;
      }
      return Number(nanoseconds) / 1e6;
    },
  };
}
