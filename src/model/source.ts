/** Where a model comes from, and how it becomes a graph. */
import { check, describeValue } from '../arguments.ts';
import { InputError, ModelError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import type { OnnxOperator } from '../graph/operators/operator.ts';
import { type InputShape, openSizes, withInputShape } from '../graph/passes/input-shape.ts';
import { settle } from '../graph/passes/settle.ts';
import { Problems } from '../graph/problems.ts';
import { openModel } from '../onnx/decode.ts';
import type { Network, OnnxFile } from '../onnx/decode.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import type { AsyncOptions } from '../progress.ts';
import { platform } from '#platform';

/**
 * An address (in Node also a file path), the bytes of an ONNX file, or a graph made by `quantize`. Octet runs QDQ models:
 * a float one is refused with an error that says how to quantize it.
 */
export type ModelSource = string | URL | Uint8Array | ArrayBuffer | Blob | Graph;

export interface SourceOptions extends AsyncOptions {
  /** External data files by the location that the model names. By default they are looked for beside an address or path. */
  readonly externalData?: ReadonlyMap<string, Uint8Array> | undefined;
  /** ONNX operator types beyond the built-in ones that the caller knows how to run. */
  readonly operators?: readonly OnnxOperator[];
  /** Sizes of dimensions that the source leaves open. */
  readonly inputShape?: InputShape;
}

/**
 * Reads a source to its graph.
 * @throws {InputError} it cannot be fetched or read, or is none of the kinds above; or `inputShape` does not fit it
 * @throws {ModelError} it is no ONNX file, or one with nodes that Octet does not know
 */
export async function readGraph(source: ModelSource, options: SourceOptions = {}): Promise<Graph> {
  return (await readNetwork(source, options)).graph;
}

/**
 * Reads a source to its graph, and what makes it one of other sizes. Throws what `readGraph` throws.
 */
export async function readNetwork(source: ModelSource, options: SourceOptions = {}): Promise<Network> {
  options.signal?.throwIfAborted();
  if (isGraph(source)) {
    check('loadModel', { source: graphSchema }, { source });
    const { inputShape } = options;
    const graph = inputShape ? settled(withInputShape(source, inputShape)) : source;
    const isOpen = openSizes(graph.inputs).length > 0;
    return { graph, at: isOpen ? (sizes) => settled(withInputShape(graph, sizes)) : null };
  }
  const bytes = await readBytes(source, options);
  const network = await decode(source, bytes, options);
  const isCallers = source instanceof Uint8Array || source instanceof ArrayBuffer || options.externalData;
  // What the caller does to the bytes later must not show in graphs that are made by then.
  if (!network.at || !isCallers) return network;
  const externalData = options.externalData && {
    externalData: new Map([...options.externalData].map(([name, data]) => [name, data.slice()])),
  };
  return decode(source, bytes.slice(), { ...options, ...externalData });
}

async function decode(
  source: Exclude<ModelSource, Graph>,
  bytes: Uint8Array,
  options: SourceOptions,
): Promise<Network> {
  options.signal?.throwIfAborted();
  const file = openNamed(source, bytes);
  const external = options.externalData ?? (await readNeighbours(source, file, options));
  const more = file.needsMore ? await import('../graph/more.ts') : undefined;
  options.signal?.throwIfAborted();
  return file.decode({
    operators: [...(more?.hostOperators ?? []), ...(options.operators ?? [])],
    ...(more && { passes: more.morePasses }),
    externalData: (location) => external.get(location),
    ...(options.inputShape && { inputShape: options.inputShape }),
  });
}

/** Of several files, the error says which. */
function openNamed(source: Exclude<ModelSource, Graph>, bytes: Uint8Array): OnnxFile {
  try {
    return openModel(bytes);
  } catch (cause) {
    if (!(cause instanceof ModelError) || !(typeof source === 'string' || source instanceof URL)) throw cause;
    throw new ModelError(
      cause.problems.map((problem) => ({ ...problem, reason: `${String(source)}: ${problem.reason}` })),
      { cause },
    );
  }
}

function settled(graph: Graph): Graph {
  const problems = new Problems(graph.opset);
  const result = settle(graph, problems);
  problems.throwIfAny();
  return result;
}

async function readBytes(source: Exclude<ModelSource, Graph>, options: AsyncOptions): Promise<Uint8Array> {
  if (typeof source === 'string' || source instanceof URL) return platform.readFile(source, options);
  if (source instanceof Uint8Array) return source;
  try {
    if (source instanceof ArrayBuffer) return new Uint8Array(source);
    if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new InputError(`the model cannot be read (${why}): give its bytes, not transferred elsewhere`, {
      cause,
    });
  }
  throw new InputError(
    `a model is an address, a file path, bytes, a Blob or a Graph, not ${describeValue(source)}`,
  );
}

/** External data files that lie beside the model, where it has an address. */
async function readNeighbours(
  source: Exclude<ModelSource, Graph>,
  file: OnnxFile,
  options: AsyncOptions,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  if (typeof source !== 'string' && !(source instanceof URL)) return files;
  for (const location of file.externalData) {
    files.set(location, await platform.readNeighbour(source, location, options));
  }
  return files;
}

function isGraph(source: ModelSource): source is Graph {
  return typeof source === 'object' && source !== null && 'nodes' in source && 'constants' in source;
}
