/** A small file with some of everything that the decoder reads. */
import { TensorProto_DataType as DataType } from 'onnx-buf';
import { attribute, floatAttribute, floats, int64s, modelBytes, node, value } from './onnx-proto.ts';

const half = {
  dataType: DataType.FLOAT16,
  dims: [2n, 3n, 3n, 3n],
  int32Data: new Array<number>(54).fill(0x3800),
};

export const everythingModel = modelBytes(
  {
    input: [value('x', ['N', 3, 8, 8])],
    output: [value('y', ['N', 4])],
    node: [
      node('Cast', ['w16'], ['w'], [attribute('to', 1)]),
      node('Conv', ['x', 'w', 'b'], ['c'], [attribute('pads', [1, 1, 1, 1]), attribute('strides', [1, 1])], {
        name: 'conv',
      }),
      node(
        'BatchNormalization',
        ['c', 'gamma', 'beta', 'mean', 'var'],
        ['n'],
        [floatAttribute('epsilon', 1e-5)],
      ),
      node('Clip', ['n', 'lo', 'hi'], ['r']),
      node('QuantizeLinear', ['r', 's', 'z'], ['q']),
      node('DequantizeLinear', ['q', 's', 'z'], ['d']),
      node('MaxPool', ['d'], ['p'], [attribute('kernel_shape', [2, 2]), attribute('ceil_mode', 1)]),
      node('Concat', ['p', 'p'], ['j'], [attribute('axis', 1)]),
      node(
        'AveragePool',
        ['j'],
        ['a'],
        [attribute('kernel_shape', [3, 3]), attribute('auto_pad', 'SAME_UPPER')],
      ),
      node('Constant', [], ['axes'], [attribute('value', int64s('', [2, 3]))]),
      node('ReduceMean', ['a', 'axes'], ['m']),
      node('Shape', ['m'], ['shape']),
      node('Gather', ['shape', 'first'], ['batch']),
      node('Concat', ['batch', 'rest'], ['target'], [attribute('axis', 0)]),
      node('Reshape', ['m', 'target'], ['f']),
      node('DequantizeLinear', ['wq', 'ws'], ['wd'], [attribute('axis', 0)]),
      node('Gemm', ['f', 'wd'], ['g'], [attribute('transB', 1)]),
      node('Softmax', ['g'], ['y'], [attribute('axis', -1)]),
    ],
    initializer: [
      { name: 'w16', ...half },
      floats('b', [2], [0.5, -0.5]),
      ...['gamma', 'beta', 'mean', 'var'].map((name) => floats(name, [2], [1, 2])),
      floats('lo', [], [0]),
      floats('hi', [], [6]),
      floats('s', [], [0.1]),
      { name: 'z', dataType: DataType.INT8, dims: [], int32Data: [-3] },
      int64s('first', [0]),
      int64s('rest', [-1]),
      { name: 'wq', dataType: DataType.INT8, dims: [4n, 4n], rawData: new Uint8Array(16).fill(7) },
      floats('ws', [4], [0.1, 0.2, 0.3, 0.4]),
    ],
    valueInfo: [value('c', ['N', 2, 8, 8])],
  },
  18,
  { metadataProps: [{ key: 'labels', value: 'a,b,c,d' }] },
);
