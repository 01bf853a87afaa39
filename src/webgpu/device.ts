/** Opens a device: adapter, limits, features, and what it can be trusted with. */
import { DeviceError } from '../errors.ts';
import type { AdapterDescription } from '../schedule/session.ts';
import type { GpuCapabilities } from '../ops/gpu-kernel.ts';
import { adapterName, classifyAdapter, findAdapter } from './adapter.ts';
import { testPackedDot } from './packed-dot-test.ts';
import { platform } from '#platform';

export interface DeviceOptions {
  /** The user's own device: used as it is, never destroyed. */
  readonly device?: GPUDevice | undefined;
  readonly powerPreference?: GPUPowerPreference | undefined;
}

/** A device in use, and what is known of it. */
export interface OpenDevice {
  readonly device: GPUDevice;
  /** Whether Octet opened it, and so destroys it and replaces it when it is lost. */
  readonly owned: boolean;
  readonly adapter: AdapterDescription;
  readonly capabilities: GpuCapabilities;
  readonly timestamps: boolean;
  /** What went wrong outside every error scope; undefined while nothing has. */
  failure(): DeviceError | undefined;
  /** Resolves when the device is lost, `close` included. */
  readonly lost: Promise<DeviceError>;
  /** Destroys an owned device. Idempotent. */
  close(): void;
}

/** Features that kernels and the profiler know how to use. */
const wantedFeatures: readonly string[] = ['timestamp-query', 'subgroups'];

/** Limits that are raised to what the adapter has: they bound batch size and the choice of variants. */
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

export const packedDotFeature = 'packed_4x8_integer_dot_product';

/**
 * Opens a device, or takes the user's, and tests its packed dot instruction.
 * @throws {DeviceError} no adapter, or it gives no device
 */
export async function openDevice({ device: given, powerPreference }: DeviceOptions): Promise<OpenDevice> {
  if (given) {
    const gpu = await platform.gpu();
    return describe(gpu, given, given.adapterInfo, false);
  }
  const { gpu, adapter } = await findAdapter(powerPreference);
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      label: 'octet',
      requiredFeatures: wantedFeatures.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[],
      requiredLimits: Object.fromEntries(wantedLimits.map((limit) => [limit, adapter.limits[limit]])),
    });
  } catch (cause) {
    throw new DeviceError(
      `${adapterName(adapter.info)} gives no device: ${messageOf(cause)}. ${platform.gpuAdvice}`,
      {
        cause,
      },
    );
  }
  try {
    return await describe(gpu, device, adapter.info, true);
  } catch (error) {
    device.destroy();
    throw error;
  }
}

async function describe(
  gpu: GPU | null,
  device: GPUDevice,
  info: GPUAdapterInfo,
  owned: boolean,
): Promise<OpenDevice> {
  let failure: DeviceError | undefined;
  let closed = false;
  const onError = (event: GPUUncapturedErrorEvent) => {
    failure ??= new DeviceError(`the GPU reported an error outside any call: ${event.error.message}`, {
      cause: event.error,
    });
  };
  // On the user's device an error may be of the user's own commands: theirs to hear.
  if (owned) device.addEventListener('uncapturederror', onError);
  const lost = device.lost.then(({ message, reason }) => {
    const why =
      closed || reason === 'destroyed' ? 'it was destroyed' : message || 'the browser gives no reason';
    const next = owned ? 'the next run opens a new one' : 'it was yours: load the model again with a new one';
    return new DeviceError(`the GPU device was lost (${why}); ${next}`);
  });

  const packedDot = gpu?.wgslLanguageFeatures.has(packedDotFeature)
    ? await testPackedDot(device)
    : { usable: false, reason: `the browser's WGSL lacks ${packedDotFeature}` };
  const { limits } = device;
  return {
    device,
    owned,
    adapter: {
      vendor: info.vendor,
      architecture: info.architecture,
      device: info.device,
      description: info.description,
      adapterClass: classifyAdapter(info),
      features: [...device.features].sort(),
      packedDot,
    },
    capabilities: {
      adapterClass: classifyAdapter(info),
      packedDot: packedDot.usable,
      subgroupSize: device.features.has('subgroups') ? fixedSubgroupSize(info) : 0,
      limits: {
        maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
        maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
        maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
        maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      },
    },
    timestamps: device.features.has('timestamp-query'),
    failure: () => failure,
    lost,
    close() {
      if (closed) return;
      closed = true;
      device.removeEventListener('uncapturederror', onError);
      if (owned) device.destroy();
    },
  };
}

/** The size of every subgroup; 0 where it varies, or where the adapter does not tell, as on iPhones. */
function fixedSubgroupSize({ subgroupMinSize, subgroupMaxSize }: Partial<GPUAdapterInfo>): number {
  return subgroupMinSize !== undefined && subgroupMinSize === subgroupMaxSize ? subgroupMinSize : 0;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
