/** The suites by name, as a page or Node runs them. */
import { kernels } from './kernels.ts';
import { lifecycle } from './lifecycle.ts';
import { programs } from './programs.ts';
import type { Suite } from './suite.ts';
import { vgg16 } from './vgg16.ts';

export const suites = {
  kernels,
  lifecycle,
  'random programs': programs(16),
  'a few random programs': programs(6),
  /** 24 pictures fill batches of 1, 3 and 8. */
  vgg16: vgg16({ pictures: 24, batches: [1, 3, 8] }),
  'vgg16 on few pictures': vgg16({ pictures: 3, batches: [1, 3] }),
} satisfies Record<string, Suite>;

export type SuiteName = keyof typeof suites;
