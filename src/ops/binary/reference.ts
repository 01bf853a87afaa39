import { rescaleSum } from '../../program/multiplier.ts';
import type { BinaryOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** A function of two tensors, exact in int32, rounded once; a row, column or channel that is the second one's only one meets all. */
export function binaryReference(operation: BinaryOperation, context: ReferenceContext): void {
  const exact = exactFunction(operation);
  const output = context.tensor(operation.output);
  const [a, b] = operation.inputs.map((id) => context.buffer(id)) as [Int8Array, Int8Array];
  const y = context.buffer(output.id);
  const [height, width, channels] = output.image;
  const stored = paddedChannels(channels);
  const [otherHeight, otherWidth, otherChannels] = context.tensor(operation.inputs[1]).image;
  const otherStored = paddedChannels(otherChannels);
  for (let pixel = 0; pixel < context.batch * height * width; pixel++) {
    const at = pixel * stored;
    const n = Math.floor(pixel / (height * width));
    const h = otherHeight > 1 ? Math.floor(pixel / width) % height : 0;
    const w = otherWidth > 1 ? pixel % width : 0;
    const other = ((n * otherHeight + h) * otherWidth + w) * otherStored;
    for (let c = 0; c < channels; c++) {
      y[at + c] = rescaleSum(exact(a[at + c], b[other + (otherChannels > 1 ? c : 0)]), operation.rescale);
    }
    y.fill(output.zeroPoint, at + channels, at + stored);
  }
}

function exactFunction({ function: of, rescale, table }: BinaryOperation): (a: number, b: number) => number {
  const { multipliers, inputZeroPoints } = rescale;
  switch (of) {
    case 'sum':
      return (a, b) => (a - inputZeroPoints[0]) * multipliers[0] + (b - inputZeroPoints[1]) * multipliers[1];
    case 'product':
      return (a, b) => (a - inputZeroPoints[0]) * (b - inputZeroPoints[1]) * multipliers[0];
    case 'maximum':
      return Math.max;
    case 'minimum':
      return Math.min;
    case 'entry':
      return (a, b) => table![256 * (a + 128) + b + 128];
  }
}
