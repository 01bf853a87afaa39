/**
 * Joins operations so that fewer tensors are written and read. Each rewrite leaves the bytes of every tensor
 * that stays as they were; the kernels need not know that it happened.
 */
import { compact } from './compact.ts';
import { composedSource, hasOutside, keepsPixels } from './move.ts';
import { paddedChannels } from './program.ts';
import type {
  AveragePool2dOperation,
  BuiltinOperation,
  BinaryOperation,
  Conv2dOperation,
  IntegerProgram,
  LookupOperation,
  MaxPool2dOperation,
  MoveOperation,
  Operation,
  ProgramTensor,
  Rescale,
  TensorId,
} from './program.ts';

/** What a rewrite makes of an operation and the only reader of its result. */
type Rewrite = (first: Operation, reader: Operation, program: IntegerProgram) => BuiltinOperation | undefined;

/** In the order in which they are tried on each pair. */
const REWRITES: readonly Rewrite[] = [clampIntoProducer, poolIntoConvolution, residualIntoConvolution];

/** Applies the rewrites wherever they fit. */
export function fuse(original: IntegerProgram): IntegerProgram {
  const program = compact(withoutCopies(throughMoves(original)));
  const outputs = new Set(program.outputs.map(({ tensor }) => tensor));
  const operations: (Operation | undefined)[] = [...program.operations];
  /** Positions of the operations that read each tensor, one for each time they do. */
  const readers = new Map<TensorId, number[]>();
  for (const [position, { inputs }] of program.operations.entries()) {
    for (const id of inputs) {
      const positions = readers.get(id);
      if (positions) positions.push(position);
      else readers.set(id, [position]);
    }
  }
  // One sweep does: what is joined takes the reader's place (by then everything that it reads is computed),
  // which is yet to come.
  for (const [position, first] of operations.entries()) {
    if (!first || outputs.has(first.output)) continue;
    const [place, ...others] = readers.get(first.output)?.slice(0, 2) ?? [];
    if (place === undefined || others.length > 0) continue;
    const joined = rewritten(first, operations[place]!, program);
    if (!joined) continue;
    operations[position] = undefined;
    operations[place] = joined;
  }
  return compact({ ...program, operations: operations.filter((operation) => operation !== undefined) });
}

/** A selection of channels of what was moved takes them from where that came from: a channel shuffle and the two halves that are read of it are two moves. */
function throughMoves(program: IntegerProgram): IntegerProgram {
  const moves = new Map<TensorId, MoveOperation>();
  const operations = program.operations.map((operation) => {
    if (!isMove(operation)) return operation;
    const direct = throughMove(operation, moves.get(operation.inputs[0]), program.tensors) ?? operation;
    moves.set(direct.output, direct);
    return direct;
  });
  return { ...program, operations };
}

/** A move that only says which element lies where copies its input: what reads the copy may read that. */
function withoutCopies(program: IntegerProgram): IntegerProgram {
  const sources = new Map<TensorId, TensorId>();
  const isKept = new Set(program.outputs.map(({ tensor }) => tensor));
  // What goes by the logical order of elements, or is a user's own, reads tensors as they say they lie.
  for (const operation of program.operations) {
    if (!BY_PLACE.has(operation.kind)) for (const id of operation.inputs) isKept.add(id);
  }
  const operations = program.operations.map((operation) => {
    const inputs = operation.inputs.map((id) => sources.get(id) ?? id);
    if (isMove(operation) && !isKept.has(operation.output)) {
      const [input, output] = [program.tensors[operation.inputs[0]], program.tensors[operation.output]];
      if (isCopy(operation, input, output)) sources.set(output.id, inputs[0]);
    }
    return { ...operation, inputs };
  });
  return { ...program, operations };
}

/** Operations that take elements by where they are stored. */
const BY_PLACE: ReadonlySet<string> = new Set<BuiltinOperation['kind']>([
  'argMax',
  'averagePool2d',
  'binary',
  'conv2d',
  'logSoftmax',
  'lookup',
  'matMul',
  'maxPool2d',
  'move',
  'normalize',
  'reduce',
  'resize',
  'softmax',
]);

function isCopy({ parts }: MoveOperation, input: ProgramTensor, output: ProgramTensor): boolean {
  const [{ source, table }] = parts;
  const isAlike = input.image.join() === output.image.join() && sameScale(input, output);
  if (parts.length > 1 || table || !isAlike) return false;
  const [, width, channels] = input.image;
  const stored = paddedChannels(channels);
  if (source.kind === 'axes') {
    return keepsPixels(source, width, stored) && source.channels.every((offset, c) => offset === c);
  }
  return source.offsets.every((offset, i) => offset === Math.floor(i / channels) * stored + (i % channels));
}

function throughMove(
  outer: MoveOperation,
  inner: MoveOperation | undefined,
  tensors: readonly ProgramTensor[],
): MoveOperation | undefined {
  if (!inner || outer.parts.length > 1 || inner.parts.length > 1) return undefined;
  const [part] = outer.parts;
  const [innerPart] = inner.parts;
  if (innerPart.table || (hasOutside(innerPart.source) && inner.fill !== outer.fill)) return undefined;
  const source = composedSource(part.source, tensors[inner.output], innerPart.source);
  return source && { ...outer, inputs: inner.inputs, parts: [{ ...part, source }] };
}

function rewritten(
  first: Operation,
  reader: Operation,
  program: IntegerProgram,
): BuiltinOperation | undefined {
  for (const rewrite of REWRITES) {
    const joined = rewrite(first, reader, program);
    if (joined) return joined;
  }
  return undefined;
}

/**
 * A 2×2 max pool with stride 2 becomes the convolution's: rescaling by a positive multiplier is monotonic.
 */
function poolIntoConvolution(first: Operation, reader: Operation): BuiltinOperation | undefined {
  if (!isConv2d(first) || !isMaxPool2d(reader)) return undefined;
  const { kernel, stride, pads, dilation } = reader;
  const isHalving =
    [...kernel, ...stride].every((size) => size === 2) &&
    pads.every((pad) => pad === 0) &&
    dilation.every((step) => step === 1);
  if (!isHalving || !first.requantize || first.pool || first.residual) return undefined;
  return { ...first, pool: true, output: reader.output };
}

/** The addition of another tensor to a convolution's result becomes the convolution's `residual`. */
function residualIntoConvolution(
  first: Operation,
  reader: Operation,
  program: IntegerProgram,
): BuiltinOperation | undefined {
  if (!isConv2d(first) || !isBinary(reader) || reader.function !== 'sum') return undefined;
  if (!first.requantize || first.pool || first.residual) return undefined;
  const own = reader.inputs.indexOf(first.output);
  const other = reader.inputs[1 - own];
  if (program.tensors[other].type !== 'int8') return undefined;
  const { multipliers, inputZeroPoints } = reader.rescale;
  const sameImage = (id: TensorId) =>
    program.tensors[id].image.join() === program.tensors[reader.output].image.join();
  if (!reader.inputs.every(sameImage) || multipliers.some((multiplier) => multiplier <= 0)) return undefined;
  return {
    ...first,
    inputs: [first.inputs[0], other],
    output: reader.output,
    residual: {
      ...reader.rescale,
      multipliers: Int32Array.of(multipliers[own], multipliers[1 - own]),
      inputZeroPoints: Int32Array.of(inputZeroPoints[own], inputZeroPoints[1 - own]),
    },
  };
}

/** What only clamps narrows the bounds of what it reads. */
function clampIntoProducer(
  first: Operation,
  reader: Operation,
  program: IntegerProgram,
): BuiltinOperation | undefined {
  if (!sameScale(program.tensors[first.output], program.tensors[reader.output])) return undefined;
  const bounds = clampBounds(reader);
  if (!bounds) return undefined;
  const narrow = <T extends { readonly lo: number; readonly hi: number }>(part: T): T => ({
    ...part,
    lo: Math.min(Math.max(part.lo, bounds.lo), bounds.hi),
    hi: Math.min(Math.max(part.hi, bounds.lo), bounds.hi),
  });
  const { output } = reader;
  if (isConv2d(first)) {
    if (first.residual) return { ...first, output, residual: narrow<Rescale>(first.residual) };
    return first.requantize ? { ...first, output, requantize: narrow(first.requantize) } : undefined;
  }
  if (isBinary(first) || isAveragePool2d(first)) {
    return { ...first, output, rescale: narrow(first.rescale) };
  }
  if (isMove(first)) {
    const clamp = (q: number) => Math.min(Math.max(q, bounds.lo), bounds.hi);
    const parts = first.parts.map((part) => ({ ...part, table: (part.table ?? IDENTITY).map(clamp) }));
    return { ...first, output, parts, fill: clamp(first.fill) };
  }
  return undefined;
}

/**
 * The bounds where the operation, on equal scales, is `clamp(x, lo, hi)`: a table that says so, and the average of single pixels, as global
 * pooling becomes in networks made for larger images.
 */
function clampBounds(operation: Operation): { readonly lo: number; readonly hi: number } | undefined {
  if (isAveragePool2d(operation)) {
    const isPixelwise = [...operation.kernel, ...operation.stride].every((size) => size === 1);
    return isPixelwise ? operation.rescale : undefined;
  }
  if (!isLookup(operation)) return undefined;
  const { table } = operation;
  if (table.length > 256) return undefined;
  const lo = table[0];
  const hi = table[255];
  const clamps = table.every((y, i) => y === Math.min(Math.max(i - 128, lo), hi));
  return lo <= hi && clamps ? { lo, hi } : undefined;
}

function sameScale(a: ProgramTensor, b: ProgramTensor): boolean {
  return a.scale === b.scale && a.zeroPoint === b.zeroPoint;
}

const isConv2d = (operation: Operation): operation is Conv2dOperation => operation.kind === 'conv2d';
const isMaxPool2d = (operation: Operation): operation is MaxPool2dOperation => operation.kind === 'maxPool2d';
const isAveragePool2d = (operation: Operation): operation is AveragePool2dOperation =>
  operation.kind === 'averagePool2d';
const isBinary = (operation: Operation): operation is BinaryOperation => operation.kind === 'binary';
const isMove = (operation: Operation): operation is MoveOperation => operation.kind === 'move';
/** The table that changes nothing. */
const IDENTITY = Int8Array.from({ length: 256 }, (_, i) => i - 128);
const isLookup = (operation: Operation): operation is LookupOperation => operation.kind === 'lookup';
