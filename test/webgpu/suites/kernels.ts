/** Every kernel variant, alone, against the reference (test/kernels/suite.ts). */
import { runKernelSuite } from '../../kernels/suite.ts';
import { describeAdapter, withDevice } from './suite.ts';
import type { Suite } from './suite.ts';

export const kernels: Suite = () =>
  withDevice(async (open) => {
    const { cases, failures } = await runKernelSuite(open.device);
    return { adapter: describeAdapter(open), cases, failures };
  });
