/** What a person would call an operation of the integer program. */
import type { BuiltinOperation, Operation, ProgramTensor } from 'octetjs/extend';

const KINDS: ReadonlySet<string> = new Set<BuiltinOperation['kind']>([
  'conv2d',
  'maxPool2d',
  'averagePool2d',
  'binary',
  'constant',
  'move',
  'lookup',
  'matMul',
  'reduce',
  'resize',
  'softmax',
  'logSoftmax',
  'argMax',
  'normalize',
]);

function isBuiltin(operation: Operation): operation is BuiltinOperation {
  return KINDS.has(operation.kind);
}

export function titleOf(operation: Operation, from: ProgramTensor, to: ProgramTensor): string {
  if (!isBuiltin(operation)) return operation.kind;
  const size = ([height, width]: readonly [number, number]) => `${height}×${width}`;
  switch (operation.kind) {
    case 'conv2d': {
      const channels = to.image[2];
      const pooled = operation.pool ? ' and pool' : '';
      // A dense layer is a convolution over the whole of its input.
      if (operation.kernel[0] === from.image[0] && operation.kernel[1] === from.image[1])
        return `Dense ${channels}`;
      // What a BatchNormalization behind an addition becomes.
      if (
        operation.groups > 1 &&
        operation.groups === channels &&
        operation.kernel.every((side) => side === 1)
      )
        return `Scale and shift, ${channels}${pooled}`;
      const depthwise = operation.groups > 1 && operation.groups === from.image[2] ? 'Depthwise' : 'Conv';
      return `${depthwise} ${size(operation.kernel)}, ${channels}${pooled}`;
    }
    case 'maxPool2d':
      return `Max pool ${size(operation.kernel)}`;
    case 'averagePool2d':
      return `Average pool ${size(operation.kernel)}`;
    case 'binary':
      return operation.function === 'sum' ? 'Add' : 'Multiply';
    case 'constant':
      return 'Constant';
    case 'move':
      return operation.parts.length > 1 ? 'Concat' : 'Move';
    case 'lookup':
      return 'Lookup table';
    case 'matMul':
      return `Matrix product, ${size(to.image.slice(1) as [number, number])}`;
    case 'reduce':
      return 'Reduction';
    case 'resize':
      return 'Resize';
    case 'softmax':
      return 'Softmax';
    case 'logSoftmax':
      return 'Log softmax';
    case 'normalize':
      return 'Normalization';
    case 'argMax':
      return operation.function === 'max' ? 'Index of the largest' : 'Index of the least';
  }
}

export function weightsOf(operation: Operation): Int8Array | null {
  return isBuiltin(operation) && operation.kind === 'conv2d' ? operation.weights.rows() : null;
}
