import { constantNumbers, constantScalar, numberAttribute } from '../attributes.ts';
import { clipBounds } from '../elementwise.ts';
import { type GraphIndex, indexGraph } from '../graph-index.ts';
import type { Graph, Node } from '../graph.ts';
import { removeAliases } from '../rewrite.ts';

/**
 * Merges zero padding of height and width into the convolutions and pools that read it. Average pools then count the
 * padding; max pools can take it where values before it are not negative. Pads that cannot be merged stay.
 */
export function foldPad(graph: Graph): Graph {
  const index = indexGraph(graph);
  const aliases = new Map<string, string>();
  const replaced = new Map<Node, Node>();
  for (const pad of graph.nodes) {
    const pads = pad.op === 'Pad' ? imagePads(graph, pad) : undefined;
    const [output] = pad.outputs as [string];
    if (!pads || index.outputs.has(output)) continue;
    const readers = index.readers(output);
    const merged = readers.map((reader) => mergePads(index, reader, pad, pads));
    if (!merged.every((node) => node !== undefined)) continue;
    for (const [i, reader] of readers.entries()) replaced.set(reader, merged[i]);
    aliases.set(output, pad.inputs[0]);
  }
  return removeAliases({ ...graph, nodes: graph.nodes.map((node) => replaced.get(node) ?? node) }, aliases);
}

/** [top, left, bottom, right] of a Pad with zeros of an image. */
function imagePads(graph: Graph, pad: Node): readonly number[] | undefined {
  const pads = constantNumbers(graph, pad.inputs[1]);
  const value = pad.inputs[2] ? constantScalar(graph, pad.inputs[2]) : 0;
  const mode = pad.attributes.mode ?? 'constant';
  if (pads?.length !== 8 || value !== 0 || mode !== 'constant' || pad.inputs[3]) return undefined;
  const [n, c, top, left, n2, c2, bottom, right] = pads as [number, number, ...number[]];
  if ([n, c, n2, c2].some((p) => p !== 0) || [top, left, bottom, right].some((p) => p < 0)) return undefined;
  return [top, left, bottom, right];
}

function mergePads(index: GraphIndex, reader: Node, pad: Node, added: readonly number[]): Node | undefined {
  const { auto_pad: autoPad = 'NOTSET', pads: own = [0, 0, 0, 0], ...attributes } = reader.attributes;
  if (reader.inputs[0] !== pad.outputs[0] || (autoPad !== 'NOTSET' && autoPad !== 'VALID')) return undefined;
  const before = autoPad === 'VALID' ? [0, 0, 0, 0] : (own as readonly number[]);
  const pads = before.map((value, side) => value + added[side]);
  const merged: Node = { ...reader, attributes: { ...attributes, pads } };
  switch (reader.op) {
    case 'Conv':
      return merged;
    case 'AveragePool': {
      const counted = numberAttribute(reader, 'count_include_pad', 0) === 1;
      const unpadded = before.every((value) => value === 0) && numberAttribute(reader, 'ceil_mode', 0) === 0;
      if (!counted && !unpadded) return undefined;
      return { ...merged, attributes: { ...merged.attributes, count_include_pad: 1 } };
    }
    case 'MaxPool':
      // A max pool pads with −∞, which is 0 to values that are not negative, unless a window is all padding.
      return isNotNegative(index, pad.inputs[0]) &&
        pads.every((value, side) => value < kernelOf(reader)[side % 2])
        ? merged
        : undefined;
    default:
      return undefined;
  }
}

function kernelOf(pool: Node): readonly number[] {
  return pool.attributes.kernel_shape as readonly number[];
}

function isNotNegative(index: GraphIndex, value: string): boolean {
  const node = index.producer(value);
  if (node?.op === 'Relu') return true;
  return node?.op === 'Clip' && (clipBounds(index.graph, node)?.[0] ?? -1) >= 0;
}
