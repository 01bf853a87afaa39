/**
 * Operators that come with Octet and whose rows are in host-registry.ts. Like those, they are loaded where a model has such nodes, so that the
 * script of a page that runs none stays small.
 */
import { argMax } from './argMax/index.ts';
import { logSoftmax } from './logSoftmax/index.ts';
import { normalize } from './normalize/index.ts';
import type { Operator } from './operator.ts';
import { commonOperators } from './registry.ts';

export const moreOperators: readonly Operator[] = [argMax, logSoftmax, normalize];

/** All that come with Octet. */
export const builtinOperators: readonly Operator[] = [...commonOperators, ...moreOperators];
