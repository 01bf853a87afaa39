/** The profile of the device at hand: what its kernels may use, and measured rates. */
import { check, count, oneOf, options as optionsOf } from '../arguments.ts';
import type { AdapterClass } from '../schedule/session.ts';
import { loadEngine } from '../wasm/engine.ts';
import { measureBandwidth, measurePeak } from '../wasm/peak.ts';
import { adapterName } from '../webgpu/adapter.ts';
import { openDevice } from '../webgpu/device.ts';
import { measurePeaks } from '../webgpu/peak.ts';
import { measureDispatch, measureTraffic } from '../webgpu/traffic.ts';
import { arithmeticFamilies } from '../ops/gpu-dispatch.ts';
import { deviceProfile, type DeviceProfile } from './target.ts';

export interface MeasureDeviceOptions {
  /** Default `webgpu`. */
  readonly backend?: 'webgpu' | 'wasm';
  readonly powerPreference?: GPUPowerPreference;
  /** Threads of the wasm backend that the profile is for. Default 1. */
  readonly threads?: number;
}

/** Built-in profiles whose efficiency and rates of the host stand in for what is not measured of WebGPU. */
const alike: Readonly<Record<AdapterClass, string>> = {
  discrete: 'webgpu',
  apple: 'webgpu-apple',
  integrated: 'webgpu-apple',
  unknown: 'webgpu-minimum',
  software: 'webgpu-software',
};

const measureArguments = optionsOf({
  backend: oneOf('webgpu', 'wasm'),
  powerPreference: oneOf('low-power', 'high-performance'),
  threads: count,
});

/**
 * Measures the peak multiply-adds and the memory traffic of the device at hand, and of WebGPU the cost of a dispatch; the other rates are those
 * of the built-in profile that is most like it.
 *
 * @throws {DeviceError} there is no such device
 */
export async function measureDevice(options: MeasureDeviceOptions = {}): Promise<DeviceProfile> {
  check('measureDevice', { options: measureArguments }, { options });
  return options.backend === 'wasm' ? measureWasm(options.threads ?? 1) : measureWebgpu(options);
}

async function measureWasm(threads: number): Promise<DeviceProfile> {
  const { capabilities } = await loadEngine({ shared: false, relaxed: true });
  const { dot, relaxedDot } = await measurePeak();
  const isRelaxed = capabilities.relaxedDot !== 'none';
  const { rates } = deviceProfile(isRelaxed ? 'wasm-relaxed' : 'wasm');
  return {
    profile: 1,
    name: 'wasm-here',
    title: `WebAssembly here, ${threads === 1 ? 'one thread' : `${threads} threads`}`,
    source: 'measured',
    backend: 'wasm',
    wasm: { ...capabilities, threads },
    rates: {
      ...rates,
      peakGmacs: { simd: rounded(Math.max(dot, relaxedDot ?? 0)) },
      bandwidth: rounded(measureBandwidth()),
    },
  };
}

async function measureWebgpu({ powerPreference }: MeasureDeviceOptions): Promise<DeviceProfile> {
  const open = await openDevice({ ...(powerPreference && { powerPreference }) });
  try {
    const { adapter, capabilities } = open;
    const { rates } = deviceProfile(alike[adapter.adapterClass]);
    const peaks = await measurePeaks(open, arithmeticFamilies(capabilities));
    return {
      profile: 1,
      name: 'webgpu-here',
      title: `WebGPU here: ${adapterName(adapter)}`,
      source: 'measured',
      backend: 'webgpu',
      webgpu: capabilities,
      rates: {
        ...rates,
        peakGmacs: Object.fromEntries(Object.entries(peaks).map(([family, peak]) => [family, rounded(peak)])),
        bandwidth: rounded(await measureTraffic(open)),
        dispatchMicroseconds: rounded(await measureDispatch(open)),
      },
    };
  } finally {
    open.close();
  }
}

/** Three digits: more is noise. */
const rounded = (rate: number) => Number(rate.toPrecision(3));
