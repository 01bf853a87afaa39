/** Devices that a model can be inspected for, without being there: what kernels may use on them, and roughly how fast they are. */
import * as v from 'valibot';
import { check, finite, index, oneOf, text } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { GpuCapabilities } from '../ops/gpu-kernel.ts';
import type { WasmCapabilities } from '../ops/wasm-kernel.ts';

/** What the cost model (cost.ts) knows of a device. */
export interface DeviceRates {
  /** Peak of each arithmetic, from registers, in 10⁹ multiply-adds a second; `simd` is WebAssembly's, one thread. */
  readonly peakGmacs: Readonly<Partial<Record<'dot4I8Packed' | 'f32' | 'i32' | 'simd', number>>>;
  /** Share of the peak that kernels reach on layers that keep the device busy, 0 to 1. */
  readonly efficiency: number;
  /** Memory traffic in GB/s. */
  readonly bandwidth: number;
  /** Microseconds that a dispatch (of WebAssembly: a kernel call) takes beside its work. */
  readonly dispatchMicroseconds: number;
  /** Multiply-adds of host stages, and elements of their other operations, in 10⁹ a second. */
  readonly hostGmacs: number;
  /** Microseconds to hand tensors from the device to a host stage and back; 0 where both are one. */
  readonly hostMicroseconds: number;
}

export interface ProfileBase {
  /** Format of the file: a later version may add members, and counts up where it changes any. */
  readonly profile: 1;
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** Where the rates come from: figures of typical hardware, or measured on the device. */
  readonly source: 'nominal' | 'measured';
  readonly rates: DeviceRates;
}

/** A device as `octet device --json` writes it. */
export type DeviceProfile =
  | (ProfileBase & { readonly backend: 'webgpu'; readonly webgpu: GpuCapabilities })
  | (ProfileBase & {
      readonly backend: 'wasm';
      readonly wasm: WasmCapabilities & { readonly threads: number };
    });

/** Every WebGPU device has these, by the specification's table of default limits. */
const minimumLimits: GpuCapabilities['limits'] = {
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupsPerDimension: 65_535,
  maxComputeWorkgroupSizeX: 256,
  maxStorageBufferBindingSize: 2 ** 27,
};

/** What desktop adapters offer in Chromium. */
const desktopLimits: GpuCapabilities['limits'] = {
  ...minimumLimits,
  maxComputeWorkgroupStorageSize: 32_768,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
  maxStorageBufferBindingSize: 2 ** 31 - 4,
};

/** A graphics card of the middle range: 10 TFLOPS in float32, four times that in packed dots, 300 GB/s. */
const card: DeviceRates = {
  peakGmacs: { dot4I8Packed: 20_000, f32: 5000, i32: 2500 },
  efficiency: 0.4,
  bandwidth: 300,
  dispatchMicroseconds: 5,
  hostGmacs: 2,
  hostMicroseconds: 500,
};

/** One core with 128-bit SIMD, as docs/benchmarks.md measured one. */
const core: DeviceRates = {
  peakGmacs: { simd: 48 },
  efficiency: 0.6,
  bandwidth: 10,
  dispatchMicroseconds: 1,
  hostGmacs: 2,
  hostMicroseconds: 0,
};

/** Built-in profiles. Figures are nominal: they rank layers, and are no promise of milliseconds. */
export const deviceProfiles: readonly DeviceProfile[] = [
  {
    profile: 1,
    name: 'webgpu',
    title: 'WebGPU, graphics card with packed dot products',
    source: 'nominal',
    backend: 'webgpu',
    webgpu: { adapterClass: 'discrete', packedDot: true, subgroupSize: 32, limits: desktopLimits },
    rates: card,
  },
  {
    profile: 1,
    name: 'webgpu-no-dot',
    title: 'WebGPU, graphics card without packed dot products',
    source: 'nominal',
    backend: 'webgpu',
    webgpu: { adapterClass: 'discrete', packedDot: false, subgroupSize: 32, limits: desktopLimits },
    rates: card,
  },
  {
    profile: 1,
    name: 'webgpu-subgroup-matrix',
    title:
      'WebGPU, large graphics card with subgroup matrices, which no kernel uses: packed dot products run',
    source: 'nominal',
    backend: 'webgpu',
    webgpu: { adapterClass: 'discrete', packedDot: true, subgroupSize: 32, limits: desktopLimits },
    rates: { ...card, peakGmacs: { dot4I8Packed: 80_000, f32: 20_000, i32: 10_000 }, bandwidth: 900 },
  },
  {
    profile: 1,
    name: 'webgpu-apple',
    title: 'WebGPU, Apple GPU: packed dot products are emulated',
    source: 'nominal',
    backend: 'webgpu',
    webgpu: { adapterClass: 'apple', packedDot: true, subgroupSize: 32, limits: desktopLimits },
    rates: {
      ...card,
      peakGmacs: { dot4I8Packed: 400, f32: 1300, i32: 650 },
      bandwidth: 68,
      dispatchMicroseconds: 10,
    },
  },
  {
    profile: 1,
    name: 'webgpu-minimum',
    title: 'WebGPU, the least that the specification allows',
    source: 'nominal',
    backend: 'webgpu',
    webgpu: { adapterClass: 'unknown', packedDot: false, subgroupSize: 0, limits: minimumLimits },
    rates: {
      ...card,
      peakGmacs: { f32: 300, i32: 150 },
      bandwidth: 20,
      dispatchMicroseconds: 25,
      hostGmacs: 1,
    },
  },
  {
    profile: 1,
    name: 'webgpu-software',
    title: 'WebGPU, software adapter (SwiftShader) on two cores',
    source: 'nominal',
    backend: 'webgpu',
    webgpu: { adapterClass: 'software', packedDot: true, subgroupSize: 4, limits: minimumLimits },
    rates: {
      ...core,
      peakGmacs: { dot4I8Packed: 1.8, f32: 12, i32: 2.8 },
      efficiency: 0.43,
      dispatchMicroseconds: 50,
      hostMicroseconds: 500,
    },
  },
  {
    profile: 1,
    name: 'wasm',
    title: 'WebAssembly, one thread, without relaxed SIMD',
    source: 'nominal',
    backend: 'wasm',
    wasm: { relaxedDot: 'none', threads: 1 },
    rates: core,
  },
  {
    profile: 1,
    name: 'wasm-relaxed',
    title: 'WebAssembly, one thread, with relaxed SIMD',
    source: 'nominal',
    backend: 'wasm',
    wasm: { relaxedDot: 'i7', threads: 1 },
    rates: { ...core, peakGmacs: { simd: 96 } },
  },
];

const rate = v.pipe(
  finite,
  v.check((value) => value > 0, 'a number above 0'),
);

const base = {
  profile: v.literal(1, '1, the version that this Octet reads'),
  name: text,
  title: text,
  source: oneOf('nominal', 'measured'),
  rates: v.object(
    {
      peakGmacs: v.record(oneOf('dot4I8Packed', 'f32', 'i32', 'simd'), rate, 'an object of rates'),
      efficiency: rate,
      bandwidth: rate,
      dispatchMicroseconds: v.pipe(finite, v.minValue(0, 'a number, 0 or more')),
      hostGmacs: rate,
      hostMicroseconds: v.pipe(finite, v.minValue(0, 'a number, 0 or more')),
    },
    'an object of rates',
  ),
};

const webgpu = v.object(
  {
    adapterClass: oneOf('software', 'integrated', 'discrete', 'apple', 'unknown'),
    packedDot: v.boolean('true or false'),
    subgroupSize: index,
    limits: v.object(
      {
        maxComputeWorkgroupStorageSize: index,
        maxComputeInvocationsPerWorkgroup: index,
        maxComputeWorkgroupsPerDimension: index,
        maxComputeWorkgroupSizeX: index,
        maxStorageBufferBindingSize: index,
      },
      'an object of limits',
    ),
  },
  'an object of capabilities',
);

const wasm = v.object(
  {
    relaxedDot: oneOf('none', 'i7', 'u8', 'i8'),
    threads: v.pipe(index, v.minValue(1, 'a positive integer')),
  },
  'an object of capabilities',
);

/** Checks a `DeviceProfile`. */
export const deviceProfileSchema = v.variant(
  'backend',
  [
    v.object({ ...base, backend: v.literal('webgpu'), webgpu }, 'a device profile'),
    v.object({ ...base, backend: v.literal('wasm'), wasm }, 'a device profile'),
  ],
  "a device profile, whose backend is 'webgpu' or 'wasm'",
);

/** @throws {InputError} no built-in profile is called so */
export function deviceProfile(name: string): DeviceProfile {
  check('deviceProfile', { name: text }, { name });
  const found = deviceProfiles.find((each) => each.name === name);
  if (found) return found;
  const names = deviceProfiles.map((each) => each.name).join(', ');
  throw new InputError(
    `there is no device profile "${name}": take one of ${names}, or a file that octet device wrote`,
  );
}

/**
 * Reads a profile that `octet device --json` wrote.
 *
 * @param json text of the file, or what it says
 * @throws {InputError} it is no profile; everything that is wrong is named
 */
export function parseDeviceProfile(json: unknown): DeviceProfile {
  let profile = json;
  if (typeof json === 'string') {
    try {
      profile = JSON.parse(json) as unknown;
    } catch (cause) {
      throw new InputError('the device profile is not JSON: octet device --json writes one', { cause });
    }
  }
  check('parseDeviceProfile', { profile: deviceProfileSchema }, { profile });
  return profile as DeviceProfile;
}
