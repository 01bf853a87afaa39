/** What kind of device an adapter is, from the little that WebGPU tells. */
import type { AdapterClass } from '../schedule/session.ts';

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
