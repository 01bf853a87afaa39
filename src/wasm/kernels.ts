/** Which build of the kernels an engine runs. Apart from what compiles them: a page asks for them before all else is there. */
import { relaxedSimd, simd } from 'wasm-feature-detect';
import { DeviceError } from '../errors.ts';
import { threadCount } from './threads.ts';

export interface EngineOptions {
  /** The module for shared memory. */
  readonly shared: boolean;
  /** False keeps to instructions that every engine defines alike. */
  readonly relaxed: boolean;
}

export type Build = 'simd' | 'simd-threads' | 'relaxed' | 'relaxed-threads';

/** Modules that hold the kernels as text, so that every bundler and CDN brings them along; only the one that the engine runs is loaded. */
export const builds: Readonly<Record<Build, () => Promise<{ readonly default: string }>>> = {
  simd: () => import('./build/simd.ts'),
  'simd-threads': () => import('./build/simd-threads.ts'),
  relaxed: () => import('./build/relaxed.ts'),
  'relaxed-threads': () => import('./build/relaxed-threads.ts'),
};

/** @throws {DeviceError} no SIMD in this engine */
export async function chooseBuild({ shared, relaxed }: EngineOptions): Promise<Build> {
  if (!(await simd())) {
    throw new DeviceError(
      'this engine has no WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4, Node 16.4 or newer have it): update it, or use another backend',
    );
  }
  const useRelaxed = relaxed && (await relaxedSimd());
  return `${useRelaxed ? 'relaxed' : 'simd'}${shared ? '-threads' : ''}`;
}

/** Loads the kernels that a backend of so many threads will run. */
export async function preloadKernels(threads: number | undefined): Promise<void> {
  await builds[await chooseBuild({ shared: threadCount(threads) > 1, relaxed: true })]();
}
