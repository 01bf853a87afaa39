/** What a model file says about its pictures and classes, and where a command line says it instead. */
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { readLabels } from '../model/labels.ts';
import { readPreprocessing } from '../program/input.ts';
import { platform } from '#platform';

export interface MetadataOptions {
  readonly mean?: string;
  readonly std?: string;
  readonly labels?: string;
}

/** `graph` with metadata from the command line; what it does not say stays. Throws an InputError or ModelError where it makes no sense. */
export async function withMetadata(graph: Graph, { mean, std, labels }: MetadataOptions): Promise<Graph> {
  const metadata = new Map(graph.metadata);
  if ((mean === undefined) !== (std === undefined)) throw new InputError('--mean and --std go together');
  if (mean !== undefined && std !== undefined) {
    metadata.set('mean', mean).set('std', std);
    readPreprocessing(metadata);
  }
  if (labels !== undefined) {
    metadata.set('labels', new TextDecoder().decode(await platform.readFile(labels)).trim());
    const names = readLabels(metadata).length;
    const classes = graph.outputs[0].shape.at(-1);
    if (names === 0) throw new InputError(`${labels} names no class`);
    if (typeof classes === 'number' && names !== classes) {
      throw new InputError(`${labels} names ${names} classes, but the model tells ${classes} apart`);
    }
  }
  return { ...graph, metadata };
}

/** Models of the same pictures and classes: what the file of one does not say, another's does. */
export function shareMetadata<T extends { readonly graph: Graph }>(models: readonly T[]): T[] {
  return models.map((model) => {
    const others = models.flatMap(({ graph }) => [...graph.metadata]).reverse();
    return { ...model, graph: { ...model.graph, metadata: new Map([...others, ...model.graph.metadata]) } };
  });
}
