/**
 * A WebGPU device in Node: npm `webgpu` (Dawn) on the driver that VK_ICD_FILENAMES names, by default the software adapter that
 * comes with Chromium, so that every machine runs the same tests.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { create, globals } from 'webgpu';

/** Kept for the process's life: Dawn goes away with it. */
let gpu: GPU | undefined;

/** Takes the software adapter that comes with Chromium where it is there and no other was chosen. */
export function chooseVulkanDriver(): void {
  const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json';
  if (existsSync(swiftshader)) process.env.VK_ICD_FILENAMES ??= swiftshader;
}

/**
 * The manifest of lavapipe, Mesa's software driver: another shader compiler than SwiftShader's, another subgroup size (8 for 4).
 *
 * @throws Error where it is not installed: says how to get it
 */
export function lavapipe(): string {
  for (const folder of ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d']) {
    const manifest =
      existsSync(folder) && readdirSync(folder).find((name) => /^lvp_icd\b.*\.json$/.test(name));
    if (manifest) return join(folder, manifest);
  }
  throw new Error(
    'no lavapipe, the Vulkan driver of Mesa: install it (Debian: apt-get install mesa-vulkan-drivers)',
  );
}

/** @throws Error where there is no adapter: says how to get one */
export async function openNodeDevice(): Promise<{ device: GPUDevice; adapter: GPUAdapter }> {
  if (!gpu) {
    chooseVulkanDriver();
    Object.assign(globalThis, globals);
    gpu = create([]);
  }
  const adapter = await gpu.requestAdapter();
  if (!adapter) {
    throw new Error(
      'no WebGPU adapter: install the Vulkan loader (Debian: apt-get install --no-install-recommends libvulkan1) and a driver, for ' +
        "example the SwiftShader of Debian's chromium, or set VK_ICD_FILENAMES to the manifest of another",
    );
  }
  const wanted: GPUFeatureName[] = ['subgroups'];
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxComputeWorkgroupStorageSize: adapter.limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: adapter.limits.maxComputeInvocationsPerWorkgroup,
    },
  });
  return { device, adapter };
}
