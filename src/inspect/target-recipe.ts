/** What a recipe says for a device's sake, where it says nothing itself. */
import type { RecipeInput } from '../quantize/recipe.ts';
import type { Inspection } from './inspect.ts';
import type { DeviceProfile } from './target.ts';

/**
 * Defaults that let a model run on the fastest exact kernels of a device.
 *
 * WebAssembly's relaxed dot product is promised to be exact only where one operand has 7 bits: there, activations of 7 bits take one
 * instruction in place of three. Every other device multiplies 8 bits as fast as fewer, and fewer bits of weights are a matter of bytes.
 */
export function targetRecipe(target: DeviceProfile): RecipeInput {
  return target.backend === 'wasm' && target.wasm.relaxedDot === 'i7' ? { preset: 'reduceRange' } : {};
}

/** How many operations run by each kernel; `host` counts those on the CPU. */
export function kernelCounts({ operations }: Inspection): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kernel } of operations) counts[kernel ?? 'host'] = (counts[kernel ?? 'host'] ?? 0) + 1;
  return counts;
}
