import { constantNumbers, constantScalar } from '../attributes.ts';
import { type GraphIndex, indexGraph } from '../graph-index.ts';
import type { Graph, Node } from '../graph.ts';
import { averagePool } from '../operators/average-pool.ts';
import { clip, clipBounds } from '../operators/clip.ts';
import { conv } from '../operators/conv.ts';
import { maxPool } from '../operators/max-pool.ts';
import { pad } from '../operators/pad.ts';
import { relu } from '../operators/relu.ts';
import { removeAliases } from '../rewrite.ts';

/**
 * Merges zero padding of height and width into the convolutions and pools that read it. Average pools then count the
 * padding; max pools can take it where values before it are not negative. Pads that cannot be merged stay.
 */
export function foldPad(graph: Graph): Graph {
  const index = indexGraph(graph);
  const aliases = new Map<string, string>();
  const replaced = new Map<Node, Node>();
  for (const node of graph.nodes) {
    const pads = pad.is(node) ? imagePads(graph, node) : undefined;
    const [output] = node.outputs as [string];
    if (!pads || index.outputs.has(output)) continue;
    const readers = index.readers(output);
    const merged = readers.map((reader) => mergePads(index, reader, node, pads));
    if (!merged.every((node) => node !== undefined)) continue;
    for (const [i, reader] of readers.entries()) replaced.set(reader, merged[i]);
    aliases.set(output, node.inputs[0]);
  }
  return removeAliases({ ...graph, nodes: graph.nodes.map((node) => replaced.get(node) ?? node) }, aliases);
}

/** [top, left, bottom, right] of a Pad with zeros of an image. */
function imagePads(graph: Graph, node: Node): readonly number[] | undefined {
  const pads = constantNumbers(graph, node.inputs[1]);
  const value = node.inputs[2] ? constantScalar(graph, node.inputs[2]) : 0;
  const mode = node.attributes.mode ?? 'constant';
  if (pads?.length !== 8 || value !== 0 || mode !== 'constant' || node.inputs[3]) return undefined;
  const [n, c, top, left, n2, c2, bottom, right] = pads as [number, number, ...number[]];
  if ([n, c, n2, c2].some((p) => p !== 0) || [top, left, bottom, right].some((p) => p < 0)) return undefined;
  return [top, left, bottom, right];
}

function mergePads(
  index: GraphIndex,
  reader: Node,
  padding: Node,
  added: readonly number[],
): Node | undefined {
  const { auto_pad: autoPad = 'NOTSET', pads: own = [0, 0, 0, 0], ...attributes } = reader.attributes;
  if (reader.inputs[0] !== padding.outputs[0] || (autoPad !== 'NOTSET' && autoPad !== 'VALID'))
    return undefined;
  const before = autoPad === 'VALID' ? [0, 0, 0, 0] : (own as readonly number[]);
  const pads = before.map((value, side) => value + added[side]);
  const merged: Node = { ...reader, attributes: { ...attributes, pads } };
  if (conv.is(reader)) return merged;
  if (averagePool.is(reader)) {
    const counted = averagePool.number(reader, 'count_include_pad') === 1;
    const unpadded = before.every((value) => value === 0) && averagePool.number(reader, 'ceil_mode') === 0;
    if (!counted && !unpadded) return undefined;
    return { ...merged, attributes: { ...merged.attributes, count_include_pad: 1 } };
  }
  if (!maxPool.is(reader)) return undefined;
  // A max pool pads with −∞, which is 0 to values that are not negative, unless a window is all padding.
  const isSame =
    isNotNegative(index, padding.inputs[0]) &&
    pads.every((value, side) => value < kernelOf(reader)[side % 2]);
  return isSame ? merged : undefined;
}

function kernelOf(pool: Node): readonly number[] {
  return pool.attributes.kernel_shape as readonly number[];
}

function isNotNegative(index: GraphIndex, value: string): boolean {
  const node = index.producer(value);
  if (relu.is(node)) return true;
  const bounds = clip.is(node) ? clipBounds(node, (bound) => constantScalar(index.graph, bound)) : undefined;
  return (bounds?.[0] ?? -1) >= 0;
}
