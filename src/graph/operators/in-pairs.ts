import type { Node } from '../graph.ts';
import { identity } from './identity.ts';
import type { NormalizeContext } from './normalize-context.ts';

/** A function of several values as functions of two, from left to right; of one, as its name. */
export function inPairs(node: Node, context: NormalizeContext): readonly Node[] {
  const [first, ...rest] = node.inputs;
  if (rest.length === 0) return [{ ...node, op: identity.op }];
  let left = first;
  return rest.map((right, i) => {
    const isLast = i === rest.length - 1;
    const output = isLast ? node.outputs[0] : context.value(`${node.outputs[0]}.${i}`);
    const name = isLast ? node.name : context.value(`${node.name}.${i}`);
    const inputs = [left, right];
    left = output;
    return { ...node, name, inputs, outputs: [output] };
  });
}
