import { evaluatePool, largestOf, poolShape, poolWindow } from './images.ts';
import { without } from './normalize-context.ts';
import { defineOperator, type Evaluation, type Value } from './operator.ts';
import { int, ints } from './signature.ts';

export const maxPool = defineOperator({
  op: 'MaxPool',
  inputs: [1, 1],
  outputs: 2,
  attributes: { ...poolWindow, dilations: ints(), storage_order: int(0) },
  role: 'selects',
  homogeneous: true,
  note: '`maxPool2d`; with indices that are read, `host`',
  normalize(node, context) {
    const [output, indices = ''] = node.outputs;
    if (indices !== '' && context.isRead(indices)) return [node];
    return [{ ...node, outputs: [output], attributes: without(node, 'storage_order') }];
  },
  shape(x, rest, node, context) {
    const shape = poolShape(x, rest, node, context);
    if (!Array.isArray(shape)) return shape;
    return { outputs: [shape, { dtype: 'int64', shape }] };
  },
  /** The first of the largest, and where it lies in the input, row-major or, with `storage_order` 1, its images by columns. */
  evaluate(call) {
    const { inputs, output = 0, shape } = call;
    const [x] = inputs;
    if (!x) return undefined;
    if (output === 1) return indicesOf(call, x, this.number(call.node, 'storage_order') === 1);
    if (x.data instanceof Float32Array) return evaluatePool(call, largestOf);
    if (x.dtype !== 'int8' && x.dtype !== 'uint8') return undefined;
    const widened: Value = { ...x, dtype: 'float32', data: Float32Array.from(x.data as Uint8Array) };
    const pooled = evaluatePool({ ...call, inputs: [widened] }, largestOf);
    const List = x.dtype === 'int8' ? Int8Array : Uint8Array;
    return pooled && { dtype: x.dtype, shape, data: List.from(pooled.data) };
  },
});

function indicesOf(call: Evaluation, x: Value, isByColumns: boolean): Value | undefined {
  const [height, width] = x.shape.slice(-2);
  const data: number[] = [];
  const pooled = evaluatePool(call, (taps, _, places) => {
    const largest = largestOf(taps);
    const place = places[taps.indexOf(largest)];
    const pixel = place % (height * width);
    const byColumns = (pixel % width) * height + Math.floor(pixel / width);
    data.push(isByColumns ? place - pixel + byColumns : place);
    return largest;
  });
  return pooled && { dtype: 'int64', shape: call.shape, data: BigInt64Array.from(data, BigInt) };
}
