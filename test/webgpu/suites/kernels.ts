/** Every kernel variant, alone, against the reference (test/support/kernel-suite.ts). */
import { runKernelSuite } from '../../support/kernel-suite.ts';
import { describeAdapter, withDevice } from './suite.ts';
import type { Suite } from './suite.ts';

export const kernels: Suite = ({ thorough = false }) =>
  withDevice(async (open) => {
    const { cases, failures } = await runKernelSuite(open.device, { thorough, extra: thorough ? 200 : 0 });
    return { adapter: describeAdapter(open), cases, failures };
  });
