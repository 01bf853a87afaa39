/** Every kernel variant, alone, against the reference (test/support/kernel-suite.ts). */
import { runKernelSuite } from '../../support/kernel-suite.ts';
import { describeAdapter, withDevice } from './suite.ts';
import type { Suite } from './suite.ts';

export const kernels: Suite = ({ thorough = false }) =>
  withDevice(async (open) => {
    // test/kernels runs all cases in Node, on Chromium's implementation; Chromium and Deno take half of them each, unless told.
    const half = 'Deno' in globalThis ? 1 : 0;
    const { cases, failures } = await runKernelSuite(
      open.device,
      thorough ? { thorough, extra: 200 } : { half },
    );
    return { adapter: describeAdapter(open), cases, failures };
  });
