import type { Graph, Node, Tensor } from '../graph/graph.ts';
import { max } from '../graph/operators/max.ts';
import { add } from '../graph/operators/add.ts';
import { div } from '../graph/operators/div.ts';
import { floor } from '../graph/operators/floor.ts';
import { min } from '../graph/operators/min.ts';
import { mul } from '../graph/operators/mul.ts';
import { reduceMax } from '../graph/operators/reduce-max.ts';
import { relu } from '../graph/operators/relu.ts';
import { optimize } from '../graph/passes/optimize.ts';
import { valueNames } from '../graph/rewrite.ts';
import { findLayers } from './layers.ts';
import { quantizeUniformly, uniformQuantizer } from './scheme.ts';

/** Keeps the steps of a batch without any activation above 0. */
const SMALLEST_STEP = 2 ** -100;

/**
 * The float graph that computes as a network of `bits` bits with dynamic ranges does: weights and biases through one uniform quantizer over
 * the range of all of them, and every ReLU through one over [0, the largest of its values in the batch]. Each value is replaced by the middle
 * of its cell (`uniformQuantizer`; Gersho & Gray 1992, section 5.2). Batch norm is folded before. Pictures are the caller's
 * (`quantizeImage`).
 *
 * @param graph a float classifier
 * @param bits 1…8
 */
export function withDynamicRanges(graph: Graph, bits: number): Graph {
  const prepared = optimize(graph);
  const parameters = [...findLayers(prepared).weighted.values()].flatMap(({ node }) =>
    node.inputs.slice(1).flatMap((name) => prepared.constants.get(name) ?? []),
  );
  const names = valueNames(prepared);
  const constants = new Map(prepared.constants);
  const quantizer = uniformQuantizer(...rangeOf(parameters), bits);
  for (const tensor of parameters) {
    const data = quantizeUniformly(tensor.data as Float32Array, quantizer);
    constants.set(tensor.name, { ...tensor, data });
  }
  const scalar = (value: number): string => {
    const name = names.fresh('dynamic_range');
    constants.set(name, { name, dtype: 'float32', shape: [], data: Float32Array.of(value) });
    return name;
  };
  const [levels, last, half, smallest] = [2 ** bits, 2 ** bits - 1, 0.5, SMALLEST_STEP].map(scalar);
  const nodes = prepared.nodes.flatMap((node): readonly Node[] => {
    if (!relu.is(node)) return [node];
    const [output] = node.outputs;
    const made: Node[] = [];
    const emit = (op: string, inputs: readonly string[], result?: string): string => {
      const name = names.fresh(`${output}.${op}`);
      made.push({ name, op, inputs, outputs: [result ?? name], attributes: {} });
      return name;
    };
    const real = names.fresh(`${output}.real`);
    const largest = names.fresh(`${output}.largest`);
    const attributes = { keepdims: 0 };
    made.push({ ...node, outputs: [real] });
    made.push({ name: largest, op: reduceMax.op, inputs: [real], outputs: [largest], attributes });
    const step = emit(max.op, [emit(div.op, [largest, levels]), smallest]);
    const cell = emit(min.op, [emit(floor.op, [emit(div.op, [real, step])]), last]);
    emit(mul.op, [emit(add.op, [cell, half]), step], output);
    return made;
  });
  return { ...prepared, nodes, constants };
}

function rangeOf(tensors: readonly Tensor[]): [least: number, largest: number] {
  let least = Infinity;
  let largest = -Infinity;
  for (const { data } of tensors) {
    for (const value of data as Float32Array) {
      least = Math.min(least, value);
      largest = Math.max(largest, value);
    }
  }
  return [least, largest];
}
