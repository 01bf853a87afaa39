import type { Dimension } from '../graph.ts';
import { numericProduct } from '../shapes.ts';
import { asFlatten, isFlatten } from './flatten.ts';
import { defineOperator } from './operator.ts';
import { renamedSizes, renamedValue } from './rename.ts';
import { int, since } from './signature.ts';

export const reshape = defineOperator({
  op: 'Reshape',
  inputs: [2, 2],
  attributes: { allowzero: since(14, int(0)) },
  role: 'renames',
  /** A Reshape to [batch, everything else], by constants or by computed shapes, is a Flatten. */
  normalize: (node, context) => [isFlatten(node, context) ? asFlatten(node) : node],
  shape({ shape }, _, node, context) {
    const target = context.elements(node.inputs[1]);
    if (!target) return undefined;
    const allowZero = this.number(node, 'allowzero') !== 0;
    const result: Dimension[] = [];
    let free: number | undefined;
    for (const [axis, dim] of target.entries()) {
      if (dim === -1) {
        if (free !== undefined) return `target shape [${target}] has more than one -1`;
        free = axis;
        result.push(1);
      } else if (dim === 0 && !allowZero) {
        if (axis >= shape.length)
          return `target shape [${target}] copies dimension ${axis}, which [${shape}] lacks`;
        result.push(shape[axis]);
      } else if (typeof dim === 'number' && (dim < 0 || !Number.isSafeInteger(dim))) {
        return `target shape [${target}] has a negative size`;
      } else {
        result.push(dim);
      }
    }
    // Symbols on both sides cancel; what is left over is the -1.
    const left = shape.filter((dim) => typeof dim === 'string');
    const extra: string[] = [];
    for (const dim of result) {
      if (typeof dim !== 'string') continue;
      const at = left.indexOf(dim);
      if (at >= 0) left.splice(at, 1);
      else extra.push(dim);
    }
    const have = numericProduct(shape);
    const want = numericProduct(result);
    const exact = left.length === 0 && extra.length === 0;
    const mismatch = `[${shape}] cannot be reshaped to [${target}]: the numbers of elements differ`;
    if (free === undefined) return exact && have !== want ? mismatch : result;
    if (exact && (want === 0 || have % want !== 0)) return mismatch;
    const quotient = want === 0 ? NaN : have / want;
    if (exact) result[free] = quotient;
    else if (extra.length === 0 && left.length === 1 && quotient === 1) result[free] = left[0]!;
    else result[free] = `${node.outputs[0]}.${free}`;
    return result;
  },
  sizes: (node, context) =>
    context.elements(node.inputs[1])?.length === 1 ? renamedSizes(node, context) : undefined,
  evaluate: renamedValue,
});
