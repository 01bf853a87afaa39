/** A small U-Net with random weights: two levels, with a node in the middle that runs on the host. */
import type { Graph } from '../../src/graph/graph.ts';
import { hardmax } from '../../src/graph/operators/hardmax.ts';
import { createFloatGraph } from './onnx-models.ts';

/** With Tanh made an operator of the host, which the builder knows none of. */
export function onHost(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) =>
    node.op === 'Tanh' ? { ...node, op: hardmax.op, attributes: { axis: 1 } } : node,
  );
  return { ...graph, nodes, operators: new Map([[hardmax.op, hardmax]]) };
}

/** Input `image` [N, 3, size, size], output a mask [N, 1, size, size]. */
export function uNet(size: number): Graph {
  const b = createFloatGraph(21);
  const top = b.relu(b.conv(b.relu(b.conv(b.input('image', ['N', 3, size, size]), 8)), 8));
  const middle = b.relu(b.conv(b.maxPool(top, { kernel: 2, stride: 2 }), 12));
  const deep = b.relu(b.conv(b.maxPool(middle, { kernel: 2, stride: 2 }), 16));
  const twice = (x: string, from: number, to: number) =>
    b.node('ConvTranspose', [x, b.normal(`up${from}`, [from, to, 2, 2], 0.2)], { strides: [2, 2] });
  const joined = b.node('Concat', [twice(deep, 16, 12), middle], { axis: 1 });
  const up = b.conv(joined, 12);
  const odd = b.node('Tanh', [up]);
  const last = b.node('Concat', [twice(b.relu(odd), 12, 8), top], { axis: 1 });
  const mask = b.node('Sigmoid', [b.conv(last, 1, { kernel: 1 })]);
  return { ...onHost(b.finish(mask)), name: 'U-Net' };
}
