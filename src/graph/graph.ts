/**
 * The float (or QDQ) graph: ONNX's meaning without ONNX's wire format. Layouts are ONNX's: activations NCHW,
 * convolution weights OIHW. Plain data: passes copy what they change.
 */

import type { OnnxOperator } from './operators/operator.ts';

export type DType =
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'float64'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'int4'
  | 'uint4'
  | 'int2'
  | 'uint2';

/** What a tensor's elements are held in, once decoded: half floats are widened to Float32Array, bool to Uint8Array, integers of 4 and 2 bits to one byte each. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/**
 * What the file said of an element and Octet does not interpret (documentation, annotations, fields of newer ONNX
 * versions), as protobuf wire bytes: never read, carried through passes, written back by the encoder.
 */
export type Extras = Uint8Array;

/** Extras of the file as a whole, and of its graph. */
export interface GraphExtras {
  readonly model?: Extras;
  readonly graph?: Extras;
}

/** A constant tensor, row-major, `data.length` equal to the product of `shape`. */
export interface Tensor {
  readonly name: string;
  /** Type in the file; float16 and bfloat16 are stored widened, so `data` is a Float32Array for them. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
  readonly extras?: Extras;
}

/** A dimension: a number, or the name of a symbolic one (typically the batch, `N`). */
export type Dimension = number | string;

export interface ValueInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dimension[];
  readonly extras?: Extras;
}

export type Attribute = number | string | readonly number[] | readonly string[] | Tensor;

/** One of the graphs that a node chooses among. Its values have names that no other value of the whole graph has. */
export interface Branch {
  readonly nodes: readonly Node[];
  /** Names of its results. */
  readonly outputs: readonly string[];
}

export interface Node {
  /** Never empty after import: unnamed nodes get `<op>_<index>`. Unique in the graph. */
  readonly name: string;
  /** ONNX operator type, e.g. `Conv`; `domain.Type` outside the default domain. */
  readonly op: string;
  /** Names of values or constants; '' for an omitted optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** By the attribute that holds it. What branches read from around them is among the inputs of the node, too. No decoded graph has any left. */
  readonly branches?: Readonly<Record<string, Branch>>;
  readonly extras?: Extras;
}

export interface Graph {
  readonly name: string;
  /** Version of the default operator set the nodes are written in. */
  readonly opset: number;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** In topological order. */
  readonly nodes: readonly Node[];
  /** Initializers (and folded Constants) by name. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Type and shape of every value that is neither constant nor unknown, filled by shape inference. */
  readonly values: ReadonlyMap<string, ValueInfo>;
  /** ONNX `metadata_props`: labels, preprocessing, provenance. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Rows of operators that are not Octet's own, by type. */
  readonly operators?: ReadonlyMap<string, OnnxOperator>;
  readonly extras?: GraphExtras;
}
