/**
 * What the host and the WebAssembly kernels must agree on, said once: the host writes by these lists (wasm-call.ts,
 * conv2d/wasm-epilogue.ts), and scripts/build-wasm.ts makes of them what the kernels read by (src/wasm/assembly/parameters.ts).
 */

interface ParameterBlock {
  /** A block that this one begins with. */
  readonly extends?: string;
  readonly fields: readonly string[];
}

/** Blocks of int32 words, in this order: an `@unmanaged` class each. */
export const PARAMETER_BLOCKS = {
  /** pad.ts */
  Frame: {
    fields: [
      'height',
      'rowElements', // width · channels
      'frameHeight',
      'frameRowElements', // frameWidth · channels
      'top',
      'leftElements', // left · channels
      'fill',
      'offset', // pad8 only: y = x − offset, modulo 2⁸
    ],
  },
  /** conv2d.ts */
  Convolution: {
    fields: [
      'imageBytes', // of one padded image
      'rowBytes', // between the windows of two output rows
      'pixelBytes', // between the windows of two output columns
      'height', // of the convolution's output, before a pool
      'width',
      'segments',
      'segmentLength', // elements, a multiple of 4
      'panels',
      'quads', // of stored output channels
      'rows', // of the GEMM: pixels of the batch that count (pooled: 4 a window)
      'tilesPerUnit',
      'mode', // one of CONVOLUTION_MODES
      'zeroPoint',
      'residualMultiplier', // of the convolution's result
      'sideMultiplier', // of the other summand
      'residualBias', // what both zero points come to: modulo 2³², as the sum
      'residualShift',
      'outputZeroPoint', // after the residual addition
      'pointwise', // 1: pixels lie as the tensor has them
      'offset', // of layers that copy x themselves, in int8: as multiplied it is less by it
    ],
  },
  /** depthwise.ts */
  Depthwise: {
    extends: 'Convolution',
    fields: [
      'strideHeight',
      'strideWidth',
      'inHeight', // of x
      'inWidth',
      'top', // padding
      'left',
      'fill', // what padding holds
      'dilation', // rows from one of a group's to the next
      'step', // rows from one group of interleaved rows to the next
      'groupsBelow', // a window's last group less its first
      'blockChannels', // a multiple of 8
      'blocks',
      'bandRows', // output rows
      'bands', // of one image
    ],
  },
  /** winograd.ts */
  Winograd: {
    extends: 'Convolution',
    fields: [
      'tilesHigh', // of one image
      'tilesWide',
      'channels', // of x, a multiple of 8
    ],
  },
  /** pool.ts */
  Pool: {
    fields: [
      'height', // of x
      'width',
      'channels', // stored, a multiple of 4
      'lastLanes', // real channels of the last quad, 1…4
      'outHeight',
      'outWidth',
      'kernelHeight',
      'kernelWidth',
      'strideHeight',
      'strideWidth',
      'top',
      'left',
      'dilationHeight',
      'dilationWidth',
      'inputZeroPoint',
      'zeroPoint',
      'lo',
      'hi',
      'shift',
      'countedHeight', // rows of x and of the padding below it that a mean counts; 0: taps inside the image alone
      'countedWidth',
    ],
  },
  /** elementwise.ts */
  Binary: {
    fields: [
      'channels', // stored
      'lastLanes', // real channels of the last quad, 1…4
      'multiplier',
      'inputZeroPoint',
      'otherMultiplier', // sum only: of the second operand
      'otherZeroPoint',
      'fill', // of padded lanes
      'same', // 1: the second operand has the layout of the first
      'height',
      'width',
      'otherImageBytes', // of the second operand
      'otherRowBytes', // between its rows, 0 where it has one
      'otherPixelBytes',
      'otherStep', // from one quad of channels to the next, 0 where it has one channel
      'shift',
      'zeroPoint',
      'lo',
      'hi',
    ],
  },
  /** move.ts */
  Move: {
    fields: [
      'height', // of the box that this input fills
      'width',
      'channels', // real ones
      'firstRow',
      'firstColumn',
      'firstChannel',
      'outHeight',
      'outWidth',
      'outChannels', // stored
      'inBytes', // of one image of the input
      'run', // 1: the box's channels lie one behind the other in the input; 0: each has an offset of its own; -1: each element has
      'mapped', // whether there is a table
      'fill',
      'fillFrom', // first padded lane that this part fills, up to outChannels
      'zeroPoint', // of padded lanes
    ],
  },
  /** resize.ts */
  Resize: {
    fields: [
      'height', // of x
      'width',
      'channels', // stored
      'lastLanes', // real channels of the last quad, 1…4
      'outHeight',
      'outWidth',
      'rowTaps', // a row of y
      'columnTaps',
      'inputZeroPoint',
      'mantissa',
      'shift',
      'zeroPoint',
      'lo',
      'hi',
    ],
  },
  /** matMul.ts */
  MatMul: {
    fields: [
      'height', // rows of a, M
      'width', // rows of b, N
      'depth', // stored elements of a row of either, a multiple of 4
      'outWidth', // stored elements of a row of y, a multiple of 4
      'blocks', // of rows of a in one matrix
      'inputZeroPoint', // of a
      'otherZeroPoint', // of b
      'requantized', // 0: the accumulators are the output
      'mantissa',
      'shift',
      'zeroPoint',
      'lo',
      'hi',
    ],
  },
  /** reduce.ts */
  Reduce: {
    fields: [
      'height', // of x
      'width',
      'channels', // stored, a multiple of 4
      'lastLanes', // real channels of the last quad, 1…4
      'outHeight',
      'outWidth',
      'rows', // of x that meet in one of y
      'columns',
      'across', // 1: channels too
      'blocks', // of BLOCK_CHANNELS channels that are units of their own
      'fold', // one of REDUCE_FUNCTIONS
      'inputZeroPoint',
      'finish', // one of REDUCE_FINISHES
      'mantissa',
      'shift',
      'zeroPoint',
      'lo',
      'hi',
    ],
  },
  /** normalize.ts */
  Normalize: {
    fields: [
      'epsilonLow', // 64 bits
      'epsilonHigh',
      'channels', // stored, a multiple of 4
      'lastLanes', // real channels of the last quad, 1…4
      'pixels', // of an image
      'blocks', // of BLOCK_CHANNELS channels that are units of their own
      'groupChannels',
      'groups', // of an image
      'count', // values of a group
      'centred', // 1: less their mean
      'offset',
      'varianceBits',
      'droppedBits',
      'rootBits',
      'shift',
      'zeroPoint',
      'lo',
      'hi',
    ],
  },
  /** softmax.ts */
  Softmax: {
    fields: [
      'channels', // stored, a multiple of 4
      'count', // real ones
      'mantissa',
      'shift',
      'zeroPoint',
      'lo',
      'hi',
    ],
  },
  /** softmax.ts */
  LogSoftmax: {
    fields: [
      'channels', // stored, a multiple of 4
      'count', // real ones
      'bits', // log₂ of the largest exponential
      'shift', // fraction bits of the tables
      'zeroPoint',
      'lo',
      'hi',
    ],
  },
  Lookup: {
    fields: [
      'channels', // stored
      'lastLanes', // real channels of the last quad, 1…4
      'zeroPoint',
    ],
  },
} as const satisfies Readonly<Record<string, ParameterBlock>>;

type Blocks = typeof PARAMETER_BLOCKS;
export type BlockName = keyof Blocks;
type OwnField<Name extends BlockName> = Blocks[Name]['fields'][number];
type BaseOf<Name extends BlockName> = Blocks[Name] extends { readonly extends: infer Base extends BlockName }
  ? Base
  : never;
export type BlockFields<Name extends BlockName> = Readonly<
  Record<OwnField<Name> | OwnField<BaseOf<Name>>, number>
>;

/** All fields of a block, those of the one that it begins with first. */
export function fieldsOf<Name extends BlockName>(name: Name): readonly (keyof BlockFields<Name>)[] {
  const block: ParameterBlock = PARAMETER_BLOCKS[name];
  const base = block.extends ? fieldsOf(block.extends as BlockName) : [];
  return [...base, ...block.fields] as (keyof BlockFields<Name>)[];
}

/** Values of `Convolution.mode`, by index: requantize; pool first; requantize and add; the accumulators are the output. */
export const CONVOLUTION_MODES = ['plain', 'pool', 'residual', 'int32'] as const;

/** Values of `Reduce.fold`, by index. */
export const REDUCE_FUNCTIONS = ['sum', 'sumOfMagnitudes', 'sumOfSquares', 'max', 'min'] as const;

/** Values of `Reduce.finish`, by index. */
export const REDUCE_FINISHES = ['select', 'requantize', 'thresholds'] as const;

/** Values of `EPILOGUE_RECORD.scaling`, by index (requantize.ts). */
export const EPILOGUE_SCALINGS = ['exact', 'clamped', 'lanes'] as const;

/**
 * The record of a panel, eight output channels (requantize.ts): words of each of its parts, in this order. Records follow one another in whole
 * vectors.
 */
export const EPILOGUE_RECORD = {
  /** Added to the sums of products before all else. */
  bias: 8,
  /** f64; of scaling `lanes` eight mantissas, then eight shifts. */
  multiplier: 16,
  /** Bounds of the requantized value, int8; the zero point in padded lanes, so that those hold it. */
  lo: 2,
  hi: 2,
  /** Bounds after the fused residual addition, likewise. */
  residualLo: 2,
  residualHi: 2,
  /** Index into EPILOGUE_SCALINGS. */
  scaling: 1,
} as const;

/** First word of each part of the record. */
export const RECORD_OFFSETS = offsetsOf(EPILOGUE_RECORD);

/** Words from one record to the next. */
export const RECORD_WORDS = Math.ceil((RECORD_OFFSETS.scaling + EPILOGUE_RECORD.scaling) / 4) * 4;

function offsetsOf<Part extends string>(
  words: Readonly<Record<Part, number>>,
): Readonly<Record<Part, number>> {
  let end = 0;
  const offsets = Object.entries<number>(words).map(([part, count]) => [part, (end += count) - count]);
  return Object.fromEntries(offsets) as Record<Part, number>;
}
