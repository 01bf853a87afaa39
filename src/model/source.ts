/** Where a model comes from, and how it becomes a graph. */
import type { Graph } from '../graph/graph.ts';

/**
 * An address (in Node also a file path), the bytes of an ONNX file, or a graph made by `quantize`. Octet runs QDQ models:
 * a float one is refused with an error that says how to quantize it.
 */
export type ModelSource = string | URL | Uint8Array | ArrayBuffer | Blob | Graph;
