import type { Dimension, Graph, Node, Tensor } from '../graph/graph.ts';
import type { OnnxOperator, Value } from '../graph/operators/operator.ts';
import type { Int8Tensor, IntegerTensor, Layout, Operation, ProgramTensor } from './program.ts';

/** A quantized value seen through its DequantizeLinear. */
export interface QuantizedConstant {
  /** int8 (uint8 shifted by 128) or int32, in the ONNX layout of the constant. */
  readonly data: Int8Array | Int32Array;
  readonly shape: readonly number[];
  /** One entry, or one a channel of `axis`. */
  readonly scale: Float32Array;
  /** As many as scales; of a uint8 constant shifted by 128 too. */
  readonly zeroPoint: Int32Array;
  /** From the front. */
  readonly axis: number;
}

/** A float value that depends on one quantized tensor, element by element. */
export interface PointwiseValue {
  readonly tensor: Int8Tensor;
  /**
   * [256] its value for each integer of the tensor, from −128 on, or [channels][256] for those of each channel as stored; null: the
   * tensor's own real value.
   */
  readonly values: Float64Array | null;
}

/**
 * Where a float node's result ends: quantized by a QuantizeLinear, with the clamps met on the way, or kept as
 * int32.
 */
export interface LoweredOutput<T extends ProgramTensor = Int8Tensor> {
  readonly tensor: T;
  /** Integer clip bounds: the int8 range narrowed by Relu/Clip between the node and its QuantizeLinear. */
  readonly lo: number;
  readonly hi: number;
}

export interface OutputOptions {
  /**
   * Where no QuantizeLinear follows, the tensor is quantized as this one: for operators that select values
   * (max pooling).
   */
  readonly like?: Int8Tensor;
}

export interface AccumulatorOptions {
  /** Where no QuantizeLinear follows, the tensor is int32 with these scales: the accumulators of a last layer. */
  readonly accumulatorScale: Float32Array;
}

/** What an operator's `lower` sees of the graph and does to the program. */
export interface LoweringContext {
  readonly graph: Graph;
  /** Quantized activation behind input `index` of `node`, or a problem and undefined. */
  activation(node: Node, index: number): Int8Tensor | undefined;
  /** The same in the layout of images, [N, C, …] with the channels innermost (`imageLayout`): moved there if need be. */
  image(node: Node, index: number): Int8Tensor | undefined;
  /** The same in any layout. */
  inLayout(node: Node, index: number, layout: Layout): Int8Tensor | undefined;
  /** Float function of a quantized activation behind input `index`, or undefined, without a problem; with `layout`, in that. */
  pointwise(node: Node, index: number, layout?: Layout): PointwiseValue | undefined;
  /**
   * Quantized constant behind input `index`, undefined (without a problem) where it is absent or no constant.
   */
  constant(node: Node, index: number): QuantizedConstant | undefined;
  /** Real values of a constant, quantized or not; undefined (without a problem) for what is computed. */
  reals(node: Node, index: number): (Value & { readonly data: Float32Array }) | undefined;
  /** A tensor that holds one image of constant values for the whole batch, quantized like `like`; `values` are row-major. */
  held(
    node: Node,
    values: Float32Array,
    layout: Layout,
    like: Pick<Int8Tensor, 'scale' | 'zeroPoint'>,
  ): Int8Tensor;
  /** Plain constant (shapes, axes, clip bounds). */
  plainConstant(node: Node, index: number): Tensor | undefined;
  /** ONNX shape of input `index`, where known. */
  shape(node: Node, index: number): readonly Dimension[] | undefined;
  /**
   * Declares the result of `node` with its layout, follows Relu/Clip to the QuantizeLinear, and makes
   * the program's tensor. A problem and undefined where no QuantizeLinear follows and `options` has no other
   * way.
   */
  output(node: Node, layout: Layout, options?: OutputOptions): LoweredOutput | undefined;
  output(node: Node, layout: Layout, options: AccumulatorOptions): LoweredOutput<ProgramTensor> | undefined;
  /** Declares the result of `node` as integers that are no quantized values (indices), row-major. */
  indices(node: Node): IntegerTensor | undefined;
  /** A tensor between two operations that one node becomes; `like` gives its scale and zero point, `what` says what it is. */
  intermediate(
    node: Node,
    layout: Layout,
    like: Pick<Int8Tensor, 'scale' | 'zeroPoint'>,
    what: string,
  ): Int8Tensor;
  /**
   * The layout in which what stands behind `node` wants its result, those that take any in between included. Undefined where nothing asks
   * for one, or sizes are not fixed.
   */
  layoutBehind(node: Node): Layout | undefined;
  /** Whether what is behind `node` only renames its result and quantizes it, up to the outputs of the graph. */
  endsGraph(node: Node): boolean;
  emit<T extends Operation>(operation: T): void;
  /** Makes `node`'s output a float function of a tensor; its QuantizeLinear becomes a table lookup. */
  bind(node: Node, value: PointwiseValue): void;
  problem(node: Node, reason: string): void;
}

/** The part of an operator that lowering needs; `src/ops/operator.ts` adds how it runs. */
export interface LoweringRule {
  /** Rows of the ONNX operators that it lowers. */
  readonly onnx: readonly OnnxOperator[];
  /** Whether it lowers this node, where several rules are for one ONNX operator. By default it does. */
  takes?(node: Node, context: LoweringContext): boolean;
  /** Whether its result lies as its first input does, in whatever layout that is. */
  readonly keepsLayout?: true;
  /** The layout in which it reads input `index`, of `shape`, whose sizes behind the batch are fixed; by default that of images. */
  layout?(
    node: Node,
    index: number,
    shape: readonly Dimension[],
    context: LoweringContext,
  ): Layout | undefined;
  /**
   * Adds to the program what `node` computes. Problems are reported through the context, not thrown; a
   * ModelError that is thrown becomes a problem of the node.
   */
  lower(node: Node, context: LoweringContext): void;
}
