import { cast } from './cast.ts';
import { defineOperator } from './operator.ts';
import { dtypeNumbers } from '../dtypes.ts';
import { typed } from './normalize-context.ts';
import { int, since, string } from './signature.ts';

/** A Cast to the second input's type. */
export const castLike = defineOperator({
  op: 'CastLike',
  since: 15,
  inputs: [2, 2],
  attributes: { saturate: since(19, int(1)), round_mode: since(24, string()) },
  role: 'none',
  normalize(node, context) {
    const to = typed(context, node.inputs[1])?.dtype;
    if (!to) return [node];
    const call = {
      ...node,
      op: cast.op,
      inputs: node.inputs.slice(0, 1),
      attributes: { to: dtypeNumbers[to] },
    };
    return cast.normalize!(call, context);
  },
  shape: ({ shape }, [like]) => like && { dtype: like.dtype, shape },
});
