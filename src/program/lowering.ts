import type { Graph, Node, Tensor } from '../graph/graph.ts';
import type { ImageShape, Operation, ProgramTensor } from './program.ts';

/** A quantized value seen through its DequantizeLinear. */
export interface QuantizedConstant {
  /** int8 (uint8 shifted by 128) or int32, in the ONNX layout of the constant. */
  readonly data: Int8Array | Int32Array;
  readonly shape: readonly number[];
  /** One entry, or one a channel of `axis`. */
  readonly scale: Float32Array;
  readonly zeroPoint: Int32Array;
  readonly axis: number;
}

/** Where a float node's result ends: quantized by a QuantizeLinear, with the clamps met on the way, or kept as int32. */
export interface LoweredOutput {
  readonly tensor: ProgramTensor;
  /** Integer clip bounds: the int8 range narrowed by Relu/Clip between the node and its QuantizeLinear. */
  readonly lo: number;
  readonly hi: number;
}

/** What an operator's `lower` sees of the graph and does to the program. */
export interface LoweringContext {
  readonly graph: Graph;
  /** Quantized activation behind input `index` of `node`, or a problem and undefined. */
  activation(node: Node, index: number): ProgramTensor | undefined;
  /** Quantized constant behind input `index`, undefined (without a problem) where it is absent or no constant. */
  constant(node: Node, index: number): QuantizedConstant | undefined;
  /** Plain constant (shapes, axes, clip bounds). */
  plainConstant(node: Node, index: number): Tensor | undefined;
  /**
   * Declares the result of `node` with its image shape, follows Relu/Clip to the QuantizeLinear, and makes the program's
   * tensor. Where the value is the graph's float output with no QuantizeLinear, and `accumulatorScale` is given, the tensor is
   * int32 with that scale.
   */
  output(node: Node, shape: ImageShape, accumulatorScale?: Float32Array): LoweredOutput | undefined;
  emit(operation: Operation): void;
  /** Makes `node`'s output another name of an existing tensor (Identity, Dropout, Flatten of a [1,1,C] image). */
  alias(node: Node, tensor: ProgramTensor): void;
  problem(node: Node, reason: string): void;
}

/** The part of an operator that lowering needs; `src/ops/operator.ts` adds how it runs. */
export interface LoweringRule {
  /** ONNX operator types it lowers. */
  readonly onnx: readonly string[];
  /** Adds to the program what `node` computes. Problems are reported through the context, not thrown. */
  lower(node: Node, context: LoweringContext): void;
}
