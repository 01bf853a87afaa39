import { unaryOperator } from './elementwise.ts';
import { renamedSizes, renamedValue } from './rename.ts';

export const identity = unaryOperator({
  op: 'Identity',
  role: 'renames',
  homogeneous: true,
  unary: () => (x) => x,
  sizes: renamedSizes,
  evaluate: renamedValue,
});
