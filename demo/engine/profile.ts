import type { ModelInfo } from './protocol.ts';

/** Name of the device profile that is most like the device in use. */
export function profileOf({ backend, adapter }: Pick<ModelInfo, 'backend' | 'adapter'>): string {
  if (backend !== 'webgpu' || !adapter) return 'wasm';
  const { adapterClass, packedDot } = adapter;
  if (adapterClass === 'software' || adapterClass === 'apple') return `webgpu-${adapterClass}`;
  return packedDot.usable ? 'webgpu' : 'webgpu-no-dot';
}
