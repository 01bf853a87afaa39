/** The adapter, and what kind of device it is, from the little that WebGPU tells. */
import { DeviceError } from '../errors.ts';
import type { AdapterClass } from '../schedule/session.ts';
import { platform } from '#platform';

/** The fields of GPUAdapterInfo that decide. */
export type AdapterNames = Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description'> & {
  readonly isFallbackAdapter?: boolean;
};

/** SwiftShader (Chromium), llvmpipe and lavapipe (Mesa), WARP (Windows). */
const softwareNames = /swiftshader|llvmpipe|lavapipe|basic render|\bwarp\b/i;

export function classifyAdapter(info: AdapterNames): AdapterClass {
  const names = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  if (info.isFallbackAdapter === true || softwareNames.test(names)) return 'software';
  switch (info.vendor.toLowerCase()) {
    case 'apple':
      return 'apple';
    case 'nvidia':
      return 'discrete';
    case 'amd':
      // GCN 5 is in the older laptop chips; what has its own memory is mostly RDNA by now.
      return info.architecture.startsWith('rdna') ? 'discrete' : 'integrated';
    case 'intel':
      return info.architecture.includes('hpg') ? 'discrete' : 'integrated';
    case 'arm':
    case 'qualcomm':
    case 'img-tec':
    case 'samsung':
      return 'integrated';
    default:
      return 'unknown';
  }
}

/** For error messages and logs: what names an adapter has, without repetition. */
export function adapterName(info: AdapterNames): string {
  const names = [info.description, info.vendor, info.architecture, info.device].filter((name) => name !== '');
  return [...new Set(names)].join(', ') || 'an adapter that does not tell its name';
}

/**
 * The adapter that the webgpu backend would use.
 * @throws {DeviceError} there is none; the message says how to get one
 */
export async function findAdapter(
  powerPreference: GPUPowerPreference | undefined,
): Promise<{ readonly gpu: GPU; readonly adapter: GPUAdapter }> {
  const gpu = await platform.gpu();
  if (!gpu) throw new DeviceError(`WebGPU is not available here. ${platform.gpuAdvice}`);
  let adapter: GPUAdapter | null;
  try {
    adapter =
      (await gpu.requestAdapter(powerPreference ? { powerPreference } : {})) ??
      (await gpu.requestAdapter({ forceFallbackAdapter: true }));
  } catch (cause) {
    throw new DeviceError(
      `WebGPU found no adapter: ${cause instanceof Error ? cause.message : String(cause)}. ${platform.gpuAdvice}`,
      { cause },
    );
  }
  if (!adapter) throw new DeviceError(`WebGPU is there but has no adapter. ${platform.gpuAdvice}`);
  return { gpu, adapter };
}
