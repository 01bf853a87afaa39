/** Which layer to change, and what it costs: the sensitivity of each layer, ranked, with what a recipe would say of it. */
import type { RecipeInput } from '../quantize/recipe.ts';
import { expectedHostTime, expectedTime } from './cost.ts';
import type { Inspection, InspectedOperation } from './inspect.ts';
import type { LayerEffect } from './sensitivity.ts';

/** A layer's weights or result, with what would make it more exact. */
export interface RankedLayer extends LayerEffect {
  /**
   * An entry of a recipe's `layers`: 8 bits where there are fewer; else 16 bits of a result, or float weights. Null for results that have
   * 16 bits.
   */
  readonly change: NonNullable<RecipeInput['layers']>[number] | null;
  /** What the change adds to the file's weights. */
  readonly bytes: number;
  /** What it adds to the expected time of a run, in milliseconds; the kernel of a layer with more bits may be another, which is not counted. */
  readonly ms: number;
}

/**
 * Rows of `inspection.sensitivity`, the one that loses most first.
 *
 * @returns empty where sensitivity was not measured
 */
export function rankLayers(inspection: Inspection): readonly RankedLayer[] {
  const operations = new Map(inspection.operations.map((operation) => [operation.name, operation]));
  return (inspection.sensitivity?.layers ?? [])
    .map((layer): RankedLayer => {
      const { kind, name, bits } = layer;
      if (kind === 'activation') {
        if (bits > 8) return { ...layer, change: null, bytes: 0, ms: 0 };
        const more = bits < 8 ? 8 : 16;
        const ms = more === 16 ? inWords(name, inspection) : 0;
        return { ...layer, change: { match: name, activations: { bits: more } }, bytes: 0, ms };
      }
      const operation = operations.get(name);
      const { weightBytes, weightBits } = operation ?? {};
      const inFile = weightBytes ?? 0;
      /** One byte each. */
      const asBytes = weightBits ? (inFile * 8) / weightBits : inFile;
      if (bits < 8) {
        const bytes = asBytes - inFile;
        const ms = operation ? moreTraffic(operation, bytes, inspection) : 0;
        return { ...layer, change: { match: name, weights: { bits: 8 } }, bytes, ms };
      }
      const ms = operation ? onHost(operation, inspection) : 0;
      return { ...layer, change: { match: name, float: true }, bytes: 4 * asBytes - inFile, ms };
    })
    .sort((a, b) => b.share - a.share);
}

function moreTraffic(operation: InspectedOperation, bytes: number, { target }: Inspection): number {
  const more = { ...operation, bytes: operation.bytes + bytes };
  return expectedTime(more, target).ms - expectedTime(operation, target).ms;
}

/** Added by a result of 16 bits: it is rounded on the host, and each layer that reads it runs once for each of its bytes. */
function inWords(name: string, { target, operations }: Inspection): number {
  const producer = operations.find(({ output }) => output.name === name);
  // What comes in from outside is on the host already.
  const onHost = producer
    ? target.rates.hostMicroseconds / 1e3 + expectedHostTime(0, producer.output.bytes, target).ms
    : 0;
  const readers = operations.filter(({ reads }) => reads.includes(name));
  return readers.reduce((ms, { expected }) => ms + expected.ms, onHost);
}

/** Added by a stage on the host in place of a kernel. */
function onHost(operation: InspectedOperation, { target }: Inspection): number {
  const elements = operation.output.bytes;
  const handOver = target.rates.hostMicroseconds / 1e3;
  return expectedHostTime(operation.macs, elements, target).ms + handOver - operation.expected.ms;
}

/** Most entries of a recipe to paste: more would be another precision of the whole model. */
const MOST = 8;
/** Part of the noise that the pasted entries are about. */
const COVERED = 0.8;

/** Of ranked layers, the few that a recipe would change: together most of the noise. */
export function worthChanging(ranked: readonly RankedLayer[]): readonly RankedLayer[] {
  const chosen: RankedLayer[] = [];
  let covered = 0;
  for (const layer of ranked) {
    if (covered >= COVERED || chosen.length === MOST || layer.share === 0) break;
    covered += layer.share;
    if (layer.change) chosen.push(layer);
  }
  return chosen;
}

/** Entries of a recipe's `layers`, as JSON to paste, one a line. */
export function recipeText(chosen: readonly RankedLayer[]): string {
  return `"layers": [\n${chosen.map(({ change }) => `  ${JSON.stringify(change)}`).join(',\n')}\n]`;
}
