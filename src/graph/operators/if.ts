import type { Branch, Graph, Node } from '../graph.ts';
import { identity } from './identity.ts';
import { defineOperator } from './operator.ts';

/**
 * One of two graphs: https://onnx.ai/onnx/operators/onnx__If.html. TorchScript writes `squeeze(axis)` as one that asks whether the axis has one
 * element, which its sizes tell.
 */
export const conditional = defineOperator({
  op: 'If',
  inputs: [1, Infinity],
  outputs: Infinity,
  branches: ['then_branch', 'else_branch'],
  role: 'none',
  note: 'with a condition that constants and sizes tell',
  expand(node, graph) {
    const taken = branchOf(node, graph);
    if (taken?.outputs.length !== node.outputs.length) return undefined;
    const results = node.outputs.map((output, i): Node => {
      const input = taken.outputs[i];
      return {
        name: `${node.name}.${i}`,
        op: identity.op,
        inputs: [input],
        outputs: [output],
        attributes: {},
      };
    });
    return [...taken.nodes, ...results.filter(({ outputs: [name] }) => name !== '')];
  },
  normalize(node, { graph, problems }) {
    problems.node(
      node,
      branchOf(node, graph)
        ? 'its branches have other numbers of outputs than it'
        : 'which branch is taken depends on values, or on sizes that only a run tells (inputShape fixes them); export the model without control flow',
    );
    return [node];
  },
  shape: () => undefined,
});

/** The branch that is taken, undefined where that is not known. */
function branchOf({ inputs, branches }: Node, { constants }: Graph): Branch | undefined {
  const condition = constants.get(inputs[0]);
  return condition && branches?.[Number(condition.data[0]) === 0 ? 'else_branch' : 'then_branch'];
}
