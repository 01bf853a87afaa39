/**
 * What a `Graph` given by a caller must look like before it is worked with: types, and the signatures of the operators. A graph that
 * was decoded from a file has passed these already.
 */
import * as v from 'valibot';
import { index, integer, text, texts } from '../arguments.ts';
import { dtypeNumbers } from '../graph/dtypes.ts';
import type { Attribute, DType, TensorData } from '../graph/graph.ts';
import { onnxOperators } from '../graph/operators/registry.ts';
import type { AttributeKind } from '../graph/operators/signature.ts';

const dtype = v.picklist(Object.keys(dtypeNumbers) as DType[], 'an element type such as float32 or int8');

const tensorData = v.custom<TensorData>(
  (value) => ArrayBuffer.isView(value) && !(value instanceof DataView),
  'a typed array',
);

const bytes = v.optional(v.instance(Uint8Array, 'a Uint8Array'));

export const tensorSchema = v.pipe(
  v.object(
    { name: text, dtype, shape: v.array(index, 'a list of sizes'), data: tensorData, extras: bytes },
    'a tensor { name, dtype, shape, data }',
  ),
  v.check(
    ({ shape, data }) => data.length === shape.reduce((product, size) => product * size, 1),
    'a tensor with as many values as its shape says',
  ),
);

const valueInfo = v.object(
  {
    name: text,
    dtype,
    shape: v.array(v.union([index, text], 'a size or a name'), 'a list of dimensions'),
    extras: bytes,
  },
  'a value { name, dtype, shape }',
);

const number = v.number('a number');
const whole = integer(Number.MIN_SAFE_INTEGER);

const attribute = v.union(
  [number, text, v.array(number), texts, tensorSchema],
  'a number, a string, a list of one of these, or a tensor',
);

const attributeKinds: Readonly<Record<AttributeKind, v.GenericSchema>> = {
  int: whole,
  float: number,
  string: text,
  ints: v.array(whole),
  floats: v.array(number),
  strings: texts,
  tensor: tensorSchema,
};

interface NodeLike {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

function hasSignature({ op, inputs, outputs, attributes }: NodeLike): boolean {
  const spec = onnxOperators.get(op);
  if (!spec) return true;
  const [fewest, most] = spec.inputs;
  return (
    inputs.length >= fewest &&
    inputs.length <= most &&
    !inputs.slice(0, fewest).includes('') &&
    outputs.length >= 1 &&
    outputs.length <= spec.outputs &&
    Object.entries(attributes).every(([name, value]) => {
      const kind = Object.hasOwn(spec.attributes, name) ? spec.attributes[name].kind : undefined;
      return kind === undefined || v.is(attributeKinds[kind], value);
    })
  );
}

export const nodeSchema = v.pipe(
  v.object(
    {
      name: text,
      op: text,
      inputs: texts,
      outputs: texts,
      attributes: v.record(v.string(), attribute, 'an object of attributes'),
      extras: bytes,
    },
    'a node { name, op, inputs, outputs, attributes }',
  ),
  v.check(
    (value) => hasSignature(value as NodeLike),
    'a node with as many inputs and outputs as its operator has, and attributes of its types',
  ),
);

const map = <T extends v.GenericSchema>(entry: T, expected: string) => v.map(v.string(), entry, expected);

export const graphSchema = v.object(
  {
    name: text,
    opset: integer(1, 10_000),
    inputs: v.array(valueInfo, 'a list of values'),
    outputs: v.pipe(
      v.array(valueInfo, 'a list of values'),
      v.check(
        (outputs) => new Set(outputs.map(({ name }) => name)).size === outputs.length,
        'a list of values of different names',
      ),
    ),
    nodes: v.array(nodeSchema, 'a list of nodes'),
    constants: map(tensorSchema, 'a Map of tensors'),
    values: map(valueInfo, 'a Map of values'),
    metadata: map(text, 'a Map of strings'),
    extras: v.optional(v.object({ model: bytes, graph: bytes }, 'an object')),
  },
  'a Graph, as decodeModel or quantize gives it',
);
