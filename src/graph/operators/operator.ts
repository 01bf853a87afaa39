/**
 * What Octet knows of an ONNX operator, in one object (`operators/<op>.ts`): its signature by opset, the form its nodes are
 * brought to, the rule for its result's shape, its value, and what it does to quantized values. Decoding, inference,
 * folding, calibration, quantization, lowering and the docs ask the row; none of them keeps a table of its own.
 */
import * as v from 'valibot';
import { check, count, flag, fn, index, oneOf, text } from '../../arguments.ts';
import type { FloatKernels } from '../float-kernels.ts';
import type { Dimension, DType, Graph, Node, Tensor } from '../graph.ts';
import type { NormalizeContext } from './normalize-context.ts';
import type { AttributeSpec } from './signature.ts';
import type { NumbersOf } from '../strided.ts';

export type Shape = readonly Dimension[];

/** Type and shape of a value. */
export interface Known {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** A value without a name: what a node computes. Row-major. */
export type Value = Omit<Tensor, 'name' | 'extras'>;

/** A float32 value. Halves are widened to Float32Array, but their arithmetic would round differently. */
export function isFloats(value: Value | undefined): value is Value & { readonly data: Float32Array } {
  return value?.dtype === 'float32' && value.data instanceof Float32Array;
}

export interface ShapeContext {
  readonly graph: Graph;
  /** Elements of a small integer tensor, some perhaps symbolic: what exporters compute the shape of a Reshape with. */
  readonly elements: (name: string | undefined) => Shape | undefined;
  /** The same, where none is symbolic. */
  readonly numbers: NumbersOf;
}

/** A shape (the type is the first input's), type and shape, either of several outputs, what is wrong, or undefined: cannot be told. */
export type ShapeResult =
  Shape | Known | { readonly outputs: readonly (Shape | Known)[] } | string | undefined;

/** `x` is the first input; `rest` the others, undefined where left out. */
export type ShapeRule = (
  x: Known,
  rest: readonly (Known | undefined)[],
  node: Node,
  context: ShapeContext,
) => ShapeResult;

/** One evaluation of a node. */
export interface Evaluation {
  readonly node: Node;
  /** Values of the inputs, undefined where left out. */
  readonly inputs: readonly (Value | undefined)[];
  /** Which output is asked for. Default the first. */
  readonly output?: number;
  /** Its type and shape. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Elements of an input that is a list of integers. */
  readonly numbers: NumbersOf;
  /** What convolutions and matrix products are computed by. Default: plain loops. */
  readonly kernels?: FloatKernels | undefined;
}

/**
 * What the operator does to quantized values.
 *
 * - `computes`: arithmetic; its result has a scale of its own.
 * - `selects`: gives some of its input's elements, chosen by their values (max pooling).
 * - `moves`: gives elements of its input, chosen by their places.
 * - `renames`: gives its input's elements in their order, under another shape or name.
 * - `clamps`: narrows the bounds of the operation before it.
 * - `pointwise`: a function of one value, or with constants, perhaps of each channel: a table.
 * - `none`: a matter of import; no such node is left in a graph that is quantized, or it is handled by name (Q/DQ).
 */
export type Role = 'computes' | 'selects' | 'moves' | 'renames' | 'clamps' | 'pointwise' | 'none';

/** What a move is asked about: shapes without symbols. */
export interface MoveCall {
  readonly from: readonly number[];
  readonly to: readonly number[];
  /** Elements of an input that is a list of numbers. */
  readonly numbers: NumbersOf;
  /** The one element of a constant input. */
  readonly scalar: (name: string) => number | undefined;
}

export interface Move {
  /**
   * One list an axis of the result: element (i₀, i₁, …) is element Σ `axes[a][i_a]` of the input in row-major order, or the fill where one of the
   * entries is `OUTSIDE`.
   */
  readonly axes: readonly ArrayLike<number>[];
  /** Default 0. */
  readonly fill?: number;
}

/** An entry of `Move.axes` that lies outside the input. */
export const OUTSIDE = -1;

/** Element-wise functions, in float64, of arithmetic that is the same on every engine. */
export type Unary = (x: number) => number;
export type Binary = (a: number, b: number) => number;

export interface OperatorDefinition<Name extends string = string> {
  /** ONNX operator type, e.g. `Conv`; `domain.Type` outside the default domain. */
  readonly op: string;
  /** Opset in which the operator came, where that is after the oldest that Octet reads. */
  readonly since?: number;
  /** Fewest and most inputs (trailing optional ones may be left out). */
  readonly inputs: readonly [fewest: number, most: number];
  /** Most outputs, 1 where left out. */
  readonly outputs?: number;
  /** The result's shape depends on elements of the inputs: `evaluate` tells it. */
  readonly hasDynamicShape?: boolean;
  readonly attributes?: Readonly<Record<Name, AttributeSpec>>;
  /** Attributes that are graphs. */
  readonly branches?: readonly string[];
  readonly role: Role;
  /** Whether `node` computes in spite of the role: a Pad with another value than 0. `constant` gives the one element of a constant input. */
  computes?(node: Node, constant: (name: string) => number | undefined): boolean;
  /**
   * The axes whose elements depend on one another, where attributes called `axis` do not say it. `constant` gives the one element of a
   * constant input. A host stage refuses the batch among them.
   */
  along?(node: Node, rank: number, constant: (name: string) => number | undefined): readonly number[];
  /**
   * Each image of a batch has results of its own, as if it were alone: what is found from all elements of the input. A host stage computes
   * image by image.
   */
  readonly eachImage?: boolean;
  /** Joins its inputs element by element, with broadcasting, though `binary` does not say so. */
  readonly broadcasts?: boolean;
  /** f(s·x) = s·f(x) for s > 0, channel by channel. */
  readonly homogeneous?: boolean;
  /**
   * Rewrites old and odd forms of a node to the one that the rest of Octet knows; what is outside the supported
   * subset is reported to the context.
   */
  normalize?(node: Node, context: NormalizeContext): readonly Node[];
  /** The nodes that a node stands for, once constants tell them. */
  expand?(node: Node, graph: Graph): readonly Node[] | undefined;
  shape(...call: Parameters<ShapeRule>): ShapeResult;
  /** Elements of the result where it is a list of sizes, some perhaps symbolic. `values` are the shapes known so far. */
  sizes?(node: Node, context: ShapeContext, values: ReadonlyMap<string, Known>): Shape | undefined;
  /** The output that is asked for, or undefined: cannot be computed. Float results are rounded to float32 once an operation. */
  evaluate?(call: Evaluation): Value | undefined;
  /**
   * The function of one element that `node` applies, undefined where its parameters are not constant.
   * `constant` gives the one element of a constant input.
   */
  unary?(node: Node, constant: (name: string) => number | undefined): Unary | undefined;
  /**
   * The function that `node` applies to an element of channel `c` (axis 1), undefined where its parameters are not constant.
   * `constants` gives the elements of a constant input.
   */
  channelwise?(
    node: Node,
    constants: (name: string) => ArrayLike<number> | undefined,
  ): ((x: number, c: number) => number) | undefined;
  /** The function of two elements (with broadcasting). */
  readonly binary?: Binary;
  /** The same on integers, where sizes are computed with it; undefined: has no value. */
  readonly integer?: (a: bigint, b: bigint) => bigint | undefined;
  /**
   * For operators that move elements of their first input: where each element of the result comes from, or what is wrong, or undefined: cannot be told.
   * `evaluate` and the operation of the integer program both follow from it.
   */
  move?(node: Node, call: MoveCall): Move | string | undefined;
  /** Inputs whose constants are learned. */
  readonly learned?: readonly number[];
  /** Multiply-adds for one image. `shape` is the result's, `weights` the shape of the learned operand. */
  macs?(shape: Shape, weights: readonly number[]): number;
  /** A limit worth a word in the table of operators. */
  readonly note?: string;
  /** Why a quantized model should hold no such node, and what to do. */
  readonly remedy?: string;
}

/** Whether the result's elements are some of the first input's, perhaps in another order. */
export function selects(role: Role | undefined): boolean {
  return role === 'selects' || role === 'moves';
}

/** Whether the result's elements are the first input's: what quantizes the one may quantize the other. */
export function keepsValues(role: Role | undefined): boolean {
  return selects(role) || role === 'renames';
}

declare const row: unique symbol;

/** A node known to be of a row's operator. */
export type NodeOf<Name extends string = string> = Node & { readonly [row]: Name };

export interface OnnxOperator<Name extends string = string> extends OperatorDefinition<Name> {
  readonly outputs: number;
  readonly attributes: Readonly<Record<Name, AttributeSpec>>;
  /** Whether `node` is of this operator. */
  readonly is: (node: Node | undefined) => node is NodeOf<Name>;
  /** A number attribute of `node`, or its default; NaN where there is neither. */
  number(node: Node, name: Name): number;
}

const definitionEntries = {
  op: text,
  // Most may be Infinity, here and below.
  inputs: v.tuple([index, v.number('a number')], 'the fewest and most inputs'),
  role: oneOf('computes', 'selects', 'moves', 'renames', 'clamps', 'pointwise', 'none'),
  shape: fn,
  since: v.optional(count),
  outputs: v.optional(v.number('a number')),
  attributes: v.optional(v.record(text, v.object({}, 'an AttributeSpec'), 'an object of AttributeSpecs')),
  homogeneous: v.optional(flag),
  broadcasts: v.optional(flag),
  eachImage: v.optional(flag),
  hasDynamicShape: v.optional(flag),
  learned: v.optional(v.array(index, 'an array of indices of inputs')),
  branches: v.optional(v.array(text, 'an array of names')),
  ...Object.fromEntries(
    [
      'normalize',
      'expand',
      'computes',
      'along',
      'sizes',
      'evaluate',
      'unary',
      'channelwise',
      'binary',
      'integer',
      'move',
      'macs',
    ].map((name) => [name, v.optional(fn)]),
  ),
};

const definitionSchema = v.object(definitionEntries, 'an OperatorDefinition');

/** A row that `defineOperator` made. */
export const onnxOperator = v.object(
  { ...definitionEntries, is: fn, number: fn },
  'an OnnxOperator (defineOperator makes them)',
);

/**
 * A row of the table of operators. Its methods may use `this`, the row.
 *
 * @throws InputError `definition` lacks a member, or has one of the wrong type
 */
export function defineOperator<Name extends string = never>(
  definition: OperatorDefinition<Name> & ThisType<OnnxOperator<Name>>,
): OnnxOperator<Name> {
  check('defineOperator', { definition: definitionSchema }, { definition });
  const attributes = definition.attributes ?? ({} as Readonly<Record<Name, AttributeSpec>>);
  return {
    outputs: 1,
    ...definition,
    attributes,
    is: (node): node is NodeOf<Name> => node?.op === definition.op,
    number(node, name) {
      const value = node.attributes[name] ?? attributes[name].default;
      return typeof value === 'number' ? value : NaN;
    },
  };
}
