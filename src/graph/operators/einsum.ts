import type { Dimension } from '../graph.ts';
import { broadcastShapes } from '../shapes.ts';
import { rowMajorStrides } from '../strided.ts';
import { sizeOf, zeros } from './dense.ts';
import { defineOperator, type Known } from './operator.ts';
import { required, string } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__Einsum.html, of one or two tensors or more. */
export const einsum = defineOperator({
  op: 'Einsum',
  since: 12,
  inputs: [1, Infinity],
  attributes: { equation: required(string()) },
  role: 'none',
  shape(x, rest, node) {
    const plan = planOf(node.attributes.equation, [x, ...rest]);
    return typeof plan === 'string' ? plan : plan.result.map((label) => plan.sizes.get(label)!);
  },
  /** Products and sums in float64, the summed labels in alphabetical order, rounded once. */
  evaluate({ node, inputs: given, dtype, shape }) {
    const inputs = given.filter((input) => input?.dtype === dtype).map((input) => input!);
    if (inputs.length < given.length) return undefined;
    if (dtype !== 'float32' && dtype !== 'float64') return undefined;
    const plan = planOf(node.attributes.equation, inputs);
    if (typeof plan === 'string') return undefined;
    const summed = [...plan.sizes.keys()].filter((label) => !plan.result.includes(label)).sort();
    const labels = [...plan.result, ...summed];
    const sizes = labels.map((label) => Number(plan.sizes.get(label)));
    // The step in each operand that one step along a label makes; labels that occur twice add up to the diagonal.
    const steps = plan.operands.map((own, operand) => {
      const strides = rowMajorStrides(inputs[operand].shape);
      return labels.map((label) =>
        own.reduce(
          (sum, each, axis) =>
            each === label && inputs[operand].shape[axis] > 1 ? sum + strides[axis] : sum,
          0,
        ),
      );
    });
    const terms = sizeOf(sizes.slice(plan.result.length));
    const data = zeros(dtype, sizeOf(shape));
    const index = sizes.map(() => 0);
    const places = inputs.map(() => 0);
    const advance = () => {
      for (let axis = sizes.length - 1; axis >= 0; axis--) {
        const isEnd = ++index[axis] === sizes[axis];
        for (let o = 0; o < places.length; o++) places[o] += steps[o][axis] * (isEnd ? 1 - sizes[axis] : 1);
        if (!isEnd) return;
        index[axis] = 0;
      }
    };
    for (let i = 0; i < data.length; i++) {
      let sum = 0;
      for (let term = 0; term < terms; term++) {
        let product = 1;
        for (let o = 0; o < places.length; o++) product *= Number(inputs[o].data[places[o]]);
        sum += product;
        advance();
      }
      data[i] = sum;
    }
    return { dtype, shape, data };
  },
});

interface Plan {
  /** Labels of each operand's axes; those that an ellipsis stands for are digits, counted from the last. */
  readonly operands: readonly (readonly string[])[];
  readonly result: readonly string[];
  readonly sizes: ReadonlyMap<string, Dimension>;
}

function planOf(equation: unknown, inputs: readonly (Pick<Known, 'shape'> | undefined)[]): Plan | string {
  const text = String(equation).replaceAll(/\s/g, '');
  const [left, right, ...more] = text.split('->');
  const terms = left.split(',');
  const isSound = /^(?:[A-Za-z,]|\.\.\.)*(?:->(?:[A-Za-z]|\.\.\.)*)?$/.test(text);
  if (!isSound || more.length > 0 || terms.length !== inputs.length)
    return `has the equation ${JSON.stringify(text)} for ${inputs.length} inputs`;
  const sizes = new Map<string, Dimension>();
  let most = 0;
  const operands: string[][] = [];
  for (const [i, term] of terms.entries()) {
    const shape = inputs[i]?.shape ?? [];
    const letters = term.replace('...', '').length;
    const hidden = term.includes('...') ? shape.length - letters : 0;
    if (hidden < 0 || letters + hidden !== shape.length)
      return `its term ${JSON.stringify(term)} does not fit [${shape}]`;
    most = Math.max(most, hidden);
    const labels = [...term.replace('...', ellipsis(hidden))];
    for (const [axis, label] of labels.entries()) {
      const size = broadcastShapes([sizes.get(label) ?? 1], [shape[axis]]);
      if (!size) return `the sizes of ${JSON.stringify(label)} in ${JSON.stringify(text)} differ`;
      sizes.set(label, size[0]);
    }
    operands.push(labels);
  }
  const once = [...sizes.keys()].filter(
    (label) => /[A-Za-z]/.test(label) && operands.flat().filter((each) => each === label).length === 1,
  );
  const result = [...(right ?? `...${once.sort().join('')}`).replace('...', ellipsis(most))];
  if (!result.every((label) => sizes.has(label))) return `its result has labels that no input has`;
  return { operands, result, sizes };
}

/** Labels of the axes that an ellipsis stands for: the last is always 0. */
function ellipsis(count: number): string {
  return Array.from({ length: count }, (_, i) => String(count - 1 - i)).join('');
}
