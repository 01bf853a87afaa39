/**
 * The operators of ONNX's default domain that Octet imports, as their specifications state them
 * (https://onnx.ai/onnx/operators/): number of inputs and outputs, attributes and their types.
 */

export type AttributeKind = 'int' | 'float' | 'string' | 'ints' | 'floats' | 'strings' | 'tensor';

export interface AttributeSpec {
  readonly kind: AttributeKind;
  readonly required?: boolean;
  /** Opset in which the attribute came, and the one in which it went. */
  readonly since?: number;
  readonly until?: number;
}

export interface OperatorSpec {
  /** Opset in which the operator came, where that is after 10. */
  readonly since?: number;
  /** Fewest and most inputs (trailing optional ones may be left out). */
  readonly inputs: readonly [number, number];
  /** Most outputs. */
  readonly outputs: number;
  readonly attributes: Readonly<Record<string, AttributeSpec>>;
}

const int: AttributeSpec = { kind: 'int' };
const float: AttributeSpec = { kind: 'float' };
const ints: AttributeSpec = { kind: 'ints' };
const floats: AttributeSpec = { kind: 'floats' };
const string: AttributeSpec = { kind: 'string' };
const since = (opset: number, spec: AttributeSpec): AttributeSpec => ({ ...spec, since: opset });
const until = (opset: number, spec: AttributeSpec): AttributeSpec => ({ ...spec, until: opset });
const required = (spec: AttributeSpec): AttributeSpec => ({ ...spec, required: true });

const unary = (attributes: OperatorSpec['attributes'] = {}, from?: number): OperatorSpec => ({
  inputs: [1, 1],
  outputs: 1,
  attributes,
  ...(from === undefined ? {} : { since: from }),
});
const binary: OperatorSpec = { inputs: [2, 2], outputs: 1, attributes: {} };

const convWindow = { auto_pad: string, dilations: ints, kernel_shape: ints, pads: ints, strides: ints };
const poolWindow = { auto_pad: string, kernel_shape: required(ints), pads: ints, strides: ints };

const specs: Readonly<Record<string, OperatorSpec>> = {
  Conv: { inputs: [2, 3], outputs: 1, attributes: { ...convWindow, group: int } },
  BatchNormalization: {
    inputs: [5, 5],
    outputs: 5,
    attributes: { epsilon: float, momentum: float, training_mode: since(14, int) },
  },
  Gemm: { inputs: [2, 3], outputs: 1, attributes: { alpha: float, beta: float, transA: int, transB: int } },
  MatMul: binary,

  MaxPool: {
    inputs: [1, 1],
    outputs: 2,
    attributes: { ...poolWindow, ceil_mode: int, dilations: ints, storage_order: int },
  },
  AveragePool: unary({ ...poolWindow, ceil_mode: int, count_include_pad: int, dilations: since(19, ints) }),
  GlobalAveragePool: unary(),
  GlobalMaxPool: unary(),
  ReduceMean: {
    inputs: [1, 2],
    outputs: 1,
    attributes: { axes: until(18, ints), keepdims: int, noop_with_empty_axes: since(18, int) },
  },

  Flatten: unary({ axis: int }),
  Reshape: { inputs: [2, 2], outputs: 1, attributes: { allowzero: since(14, int) } },
  Squeeze: { inputs: [1, 2], outputs: 1, attributes: { axes: until(13, ints) } },
  Unsqueeze: { inputs: [1, 2], outputs: 1, attributes: { axes: until(13, required(ints)) } },
  Split: {
    inputs: [1, 2],
    outputs: Infinity,
    attributes: { axis: int, split: until(13, ints), num_outputs: since(18, int) },
  },
  Concat: { inputs: [1, Infinity], outputs: 1, attributes: { axis: required(int) } },
  Pad: {
    inputs: [1, 4],
    outputs: 1,
    attributes: { mode: string, pads: until(11, required(ints)), value: until(11, float) },
  },
  // What exporters compute shapes and pads with; folded on import.
  Shape: unary({ start: since(15, int), end: since(15, int) }),
  Gather: { inputs: [2, 2], outputs: 1, attributes: { axis: int } },
  Slice: { inputs: [3, 5], outputs: 1, attributes: {} },
  Transpose: unary({ perm: ints }),
  ConstantOfShape: unary({ value: { kind: 'tensor' } }),

  Identity: unary(),
  Dropout: { inputs: [1, 3], outputs: 2, attributes: { ratio: until(12, float), seed: since(12, int) } },
  Cast: unary({ to: required(int), saturate: since(19, int), round_mode: since(24, string) }),
  Constant: {
    inputs: [0, 0],
    outputs: 1,
    attributes: {
      value: { kind: 'tensor' },
      value_float: since(12, float),
      value_floats: since(12, floats),
      value_int: since(12, int),
      value_ints: since(12, ints),
    },
  },
  QuantizeLinear: {
    inputs: [2, 3],
    outputs: 1,
    attributes: {
      axis: since(13, int),
      saturate: since(19, int),
      block_size: since(21, int),
      output_dtype: since(21, int),
      precision: since(23, int),
    },
  },
  DequantizeLinear: {
    inputs: [2, 3],
    outputs: 1,
    attributes: { axis: since(13, int), block_size: since(21, int), output_dtype: since(23, int) },
  },

  Softmax: unary({ axis: int }),
  Relu: unary(),
  Clip: { inputs: [1, 3], outputs: 1, attributes: { min: until(11, float), max: until(11, float) } },
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Pow: binary,
  PRelu: binary,
  Min: { inputs: [1, Infinity], outputs: 1, attributes: {} },
  Max: { inputs: [1, Infinity], outputs: 1, attributes: {} },

  Abs: unary(),
  Celu: unary({ alpha: float }, 12),
  Elu: unary({ alpha: float }),
  Erf: unary(),
  Exp: unary(),
  Gelu: unary({ approximate: string }, 20),
  HardSigmoid: unary({ alpha: float, beta: float }),
  HardSwish: unary({}, 14),
  LeakyRelu: unary({ alpha: float }),
  Log: unary(),
  Mish: unary({}, 18),
  Neg: unary(),
  Reciprocal: unary(),
  Selu: unary({ alpha: float, gamma: float }),
  Sigmoid: unary(),
  Softplus: unary(),
  Softsign: unary(),
  Sqrt: unary(),
  Swish: unary({ alpha: float }, 24),
  Tanh: unary(),
  ThresholdedRelu: unary({ alpha: float }),
};

/** The specification of `op`, undefined where Octet does not import it. */
export function operatorSpec(op: string): OperatorSpec | undefined {
  return Object.hasOwn(specs, op) ? specs[op] : undefined;
}

/** Operator types that Octet imports, sorted. */
export function importedOperators(): string[] {
  return Object.keys(specs).sort();
}
