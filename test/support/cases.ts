/**
 * Programs of one operation each, on a grid of awkward shapes and values: every backend must give the
 * reference's bytes on them. Seeded, so that a name repeats a case. No Node imports: browsers run these too.
 */
import type {
  ArgMaxOperation,
  AveragePool2dOperation,
  BinaryOperation,
  ConstantOperation,
  Conv2dOperation,
  ImageShape,
  IntegerProgram,
  LogSoftmaxOperation,
  LookupOperation,
  MatMulOperation,
  MaxPool2dOperation,
  MoveOperation,
  NormalizeOperation,
  Operation,
  ResizeOperation,
  ReduceFunction,
  ReduceOperation,
  ResizeTaps,
  SoftmaxOperation,
  TensorId,
  Window2d,
} from '../../src/program/program.ts';
import { int8Weights } from '../../src/program/weights.ts';
import { moveSource, relayout } from '../../src/program/move.ts';
import { commonRescale, toMultiplier } from '../../src/program/multiplier.ts';
import { resizeTaps } from '../../src/graph/resizing.ts';
import { affineParameters, rootParameters } from '../../src/ops/normalize/lower.ts';
import { rootThresholds } from '../../src/ops/reduce/lower.ts';
import { logarithmTables } from '../../src/ops/logSoftmax/lower.ts';
import { softmaxExponentials } from '../../src/ops/exponentials.ts';
import { windowOutput } from '../../src/ops/window.ts';
import {
  createProgramBuilder,
  fillImage,
  joined,
  multiplyBy,
  rescaleBy,
  requantizeBy,
  selection,
} from './program-builder.ts';
import { createRandom, type Random } from './random.ts';

export interface OperationCase {
  /** Unique; says what is awkward about it. */
  readonly name: string;
  readonly kind: Operation['kind'];
  readonly program: IntegerProgram;
  readonly batch: number;
  /** By input tensor, in the program's layout. */
  readonly inputs: ReadonlyMap<TensorId, Int8Array>;
}

/** How the int8 values of a tensor are drawn. */
type Values = 'random' | 'min' | 'max' | 'zeroPoint' | 'extremes' | 'small' | '4 bits' | '2 bits';

interface ConvSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  readonly out: number;
  readonly kernel?: Window2d['kernel'];
  readonly stride?: Window2d['stride'];
  readonly pads?: Window2d['pads'];
  readonly dilation?: Window2d['dilation'];
  readonly groups?: number;
  readonly x?: Values;
  readonly w?: Values;
  readonly zeroPoint?: number;
  readonly outZeroPoint?: number;
  readonly weightZeroPoint?: boolean;
  /** Output channels (every `zeroEvery`th) whose weights are all 0. */
  readonly zeroEvery?: number;
  readonly pool?: boolean;
  readonly residual?: boolean;
  readonly int32?: boolean;
  readonly clip?: readonly [lo: number, hi: number];
  /** Multiplier of every channel; by default one that spreads the accumulators over int8. */
  readonly factor?: number;
  /** Makes channel c's accumulators exactly `accs[c % length]`: every weight is 0. */
  readonly accs?: readonly number[];
}

const SAME = { kernel: [3, 3], pads: [1, 1, 1, 1] } as const;
const CHANNELS = [1, 2, 3, 4, 5, 7, 8, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65];

/** Accumulators over the whole int32 range. */
const LARGE = [
  2 ** 31 - 1,
  -(2 ** 31 - 1),
  2 ** 30,
  -(2 ** 30),
  2 ** 29 + 1,
  -(2 ** 29) - 3,
  1234567890,
  -987654321,
  2 ** 29,
];
/** Ties of ·2⁻²⁵ (odd multiples of 2²⁴) and their neighbours, on both sides of 2²⁹. */
const TIES = [1, 3, -1, -5, 31, 33, -33, 63, -63, 125, -127].flatMap((odd) => [
  odd * 2 ** 24,
  odd * 2 ** 24 - 1,
  odd * 2 ** 24 + 1,
]);

/** Conv2d by hand: each spec is here for the reason that its name gives. */
const CONV_SPECS: Record<string, ConvSpec> = {
  'one value': { image: [1, 1, 1], out: 1 },
  '1x1 primes': { image: [5, 7, 3], out: 11 },
  '1x1 channels 4': { image: [4, 4, 4], out: 4 },
  '1x1 channels 5': { image: [4, 4, 5], out: 5 },
  '1x1 M 31': { image: [1, 31, 16], out: 32 },
  '1x1 M 33': { image: [3, 11, 16], out: 33 },
  '1x1 M 63': { image: [7, 9, 32], out: 63 },
  '1x1 M 64': { image: [8, 8, 32], out: 64 },
  '1x1 M 65': { image: [5, 13, 32], out: 65 },
  '1x1 M 127': { image: [127, 1, 17], out: 31 },
  '1x1 M 128': { image: [16, 8, 64], out: 128 },
  '1x1 M 129': { image: [3, 43, 33], out: 129 },
  '1x1 batch 3': { batch: 3, image: [3, 5, 7], out: 6 },
  '1x1 stride 2': { image: [7, 8, 12], out: 16, stride: [2, 2] },
  '1x1 long K': { image: [2, 2, 1027], out: 9 },
  '1x1 f32 flush boundary': { image: [1, 2, 1024], out: 5, x: 'max', w: 'max', int32: true },
  '1x1 past the f32 flush boundary': { image: [1, 2, 2051], out: 5, x: 'max', w: 'max', int32: true },
  // An odd number of odd products: beyond 2²⁴ f32 would lose its last bit, as it would not that of -128 times -128.
  '3x3 past the f32 flush boundary': {
    image: [4, 4, 399],
    out: 16,
    ...SAME,
    x: 'max',
    w: 'max',
    int32: true,
  },
  'dense past the f32 flush boundary': {
    batch: 2,
    image: [1, 1, 2063],
    out: 64,
    x: 'max',
    w: 'max',
    int32: true,
  },
  '3x3 stem': { image: [32, 32, 3], out: 64, ...SAME },
  '3x3 stem batch 3': { batch: 3, image: [9, 7, 3], out: 20, ...SAME },
  '3x3 one channel': { image: [6, 6, 1], out: 1, ...SAME },
  '3x3 image 1x1': { image: [1, 1, 8], out: 8, ...SAME },
  '3x3 image 2x2': { image: [2, 2, 64], out: 64, ...SAME },
  '3x3 image 2x2 batch 3': { batch: 3, image: [2, 2, 32], out: 36, ...SAME },
  '3x3 image 4x4': { image: [4, 4, 64], out: 32, ...SAME },
  '3x3 image 8x8': { image: [8, 8, 32], out: 64, ...SAME },
  '3x3 image 16x16': { image: [16, 16, 16], out: 33, ...SAME },
  '3x3 odd image': { image: [7, 5, 16], out: 12, ...SAME },
  '3x3 batch 3': { batch: 3, image: [5, 6, 20], out: 24, ...SAME },
  '3x3 channels 6 to 10': { image: [9, 9, 6], out: 10, ...SAME },
  '3x3 no padding': { image: [9, 10, 8], out: 7, kernel: [3, 3] },
  '3x3 stride 2': { image: [9, 9, 8], out: 16, ...SAME, stride: [2, 2] },
  '3x3 stride 2 even': { image: [8, 8, 5], out: 9, ...SAME, stride: [2, 2] },
  '3x3 stride 2x1': { image: [8, 7, 4], out: 6, ...SAME, stride: [2, 1] },
  '3x3 stride 3': { image: [10, 10, 4], out: 6, ...SAME, stride: [3, 3] },
  '3x3 uneven padding': { image: [6, 7, 8], out: 8, kernel: [3, 3], pads: [0, 1, 1, 0] },
  '3x3 uneven padding stride 2': {
    image: [8, 8, 3],
    out: 8,
    kernel: [3, 3],
    pads: [0, 0, 1, 1],
    stride: [2, 2],
  },
  '3x3 padding 2': { image: [4, 5, 8], out: 8, kernel: [3, 3], pads: [2, 2, 2, 2] },
  '3x3 dilation 2': { image: [9, 8, 8], out: 8, kernel: [3, 3], pads: [2, 2, 2, 2], dilation: [2, 2] },
  '3x3 dilation 2x3': { image: [9, 11, 5], out: 8, kernel: [3, 3], pads: [1, 2, 0, 3], dilation: [2, 3] },
  '5x5': { image: [8, 9, 4], out: 8, kernel: [5, 5], pads: [2, 2, 2, 2] },
  '7x7 stride 2 stem': { image: [21, 20, 3], out: 16, kernel: [7, 7], pads: [3, 3, 3, 3], stride: [2, 2] },
  '1x3': { image: [5, 6, 8], out: 8, kernel: [1, 3], pads: [0, 1, 0, 1] },
  '3x1': { image: [5, 6, 8], out: 8, kernel: [3, 1], pads: [1, 0, 1, 0] },
  '2x2 stride 2': { image: [6, 8, 8], out: 12, kernel: [2, 2], stride: [2, 2] },
  'kernel is the image': { image: [4, 3, 6], out: 10, kernel: [4, 3] },
  'groups 2': { image: [5, 6, 8], out: 12, ...SAME, groups: 2 },
  'groups 3 of odd channels': { image: [5, 5, 9], out: 15, ...SAME, groups: 3 },
  'groups 4 1x1': { batch: 3, image: [4, 4, 16], out: 16, groups: 4 },
  'groups of 32': { image: [4, 4, 64], out: 64, ...SAME, groups: 2 },
  depthwise: { image: [9, 7, 16], out: 16, ...SAME, groups: 16 },
  'depthwise odd channels': { image: [6, 7, 13], out: 13, ...SAME, groups: 13 },
  'depthwise stride 2': { batch: 3, image: [9, 8, 12], out: 12, ...SAME, stride: [2, 2], groups: 12 },
  'depthwise 5x5': { image: [8, 8, 6], out: 6, kernel: [5, 5], pads: [2, 2, 2, 2], groups: 6 },
  'depthwise multiplier 2': { image: [6, 5, 8], out: 16, ...SAME, groups: 8 },
  'depthwise multiplier 3': { batch: 3, image: [4, 5, 5], out: 15, ...SAME, groups: 5 },
  'depthwise dilation 2': {
    image: [8, 8, 8],
    out: 8,
    kernel: [3, 3],
    pads: [2, 2, 2, 2],
    dilation: [2, 2],
    groups: 8,
  },
  'depthwise 7x7': { batch: 3, image: [7, 9, 5], out: 5, kernel: [7, 7], pads: [3, 3, 3, 3], groups: 5 },
  'depthwise 1x1': { image: [5, 5, 8], out: 8, groups: 8, zeroPoint: 127 },
  'depthwise 13x13': { image: [13, 13, 4], out: 4, kernel: [13, 13], groups: 4 },
  'depthwise uneven': {
    batch: 3,
    image: [9, 11, 7],
    out: 7,
    kernel: [3, 5],
    pads: [0, 1, 2, 0],
    stride: [2, 1],
    groups: 7,
  },
  'depthwise int32': {
    image: [6, 7, 9],
    out: 9,
    ...SAME,
    groups: 9,
    x: 'extremes',
    w: 'extremes',
    int32: true,
  },
  'depthwise all -128': { image: [5, 6, 8], out: 8, ...SAME, groups: 8, x: 'min', w: 'min', factor: 4e-4 },
  'depthwise saturates': { image: [8, 8, 8], out: 8, ...SAME, groups: 8, outZeroPoint: -128, factor: 0.1 },
  'depthwise ties at 1/2': {
    image: [8, 8, 8],
    out: 8,
    ...SAME,
    groups: 8,
    x: 'small',
    w: 'small',
    factor: 0.5,
  },
  'depthwise ties at 1/4': {
    image: [9, 7, 6],
    out: 6,
    ...SAME,
    groups: 6,
    x: 'small',
    w: 'small',
    factor: 0.25,
  },
  'depthwise below ties': {
    image: [8, 8, 8],
    out: 8,
    ...SAME,
    groups: 8,
    x: 'small',
    w: 'small',
    factor: 0.5 - 2 ** -25,
  },
  'depthwise above ties': {
    image: [7, 8, 8],
    out: 8,
    ...SAME,
    groups: 8,
    x: 'small',
    w: 'small',
    factor: 0.5 + 2 ** -24,
  },
  'depthwise, large accumulators': {
    image: [2, 2, 32],
    out: 32,
    groups: 32,
    factor: 1.3 * 2 ** -24,
    accs: LARGE,
  },
  'depthwise, ties of large accumulators': {
    image: [3, 2, 64],
    out: 64,
    groups: 64,
    factor: 2 ** -25,
    accs: TIES,
  },
  'depthwise, large accumulators near ties': {
    image: [1, 1, 64],
    out: 64,
    groups: 64,
    factor: 2 ** -25 - 2 ** -50,
    accs: TIES,
  },
  'depthwise multiplier 2^30': {
    image: [4, 4, 4],
    out: 4,
    groups: 4,
    x: 'small',
    w: 'small',
    factor: 2 ** 30,
  },
  'depthwise multiplier 2^-60': { image: [4, 4, 8], out: 8, groups: 8, factor: 2 ** -60 },
  'dense 1 to 1': { image: [1, 1, 1], out: 1 },
  'dense 7 to 3': { image: [1, 1, 7], out: 3 },
  'dense 512 to 10': { image: [1, 1, 512], out: 10 },
  'dense 509 to 67': { image: [1, 1, 509], out: 67 },
  'dense batch 3': { batch: 3, image: [1, 1, 130], out: 66 },
  'dense batch 16': { batch: 16, image: [1, 1, 64], out: 33 },
  'dense batch 65': { batch: 65, image: [1, 1, 36], out: 65 },
  'dense 64 to 16': { image: [1, 1, 64], out: 16 },
  'dense 48 to 32 batch 2': { batch: 2, image: [1, 1, 48], out: 32 },
  'dense 144 to 80 batch 3': { batch: 3, image: [1, 1, 144], out: 80, zeroPoint: -128 },
  'dense 80 to 64': { image: [1, 1, 80], out: 64, x: 'extremes', w: 'extremes' },
  'dense 16 to 128 int32 batch 2': { batch: 2, image: [1, 1, 16], out: 128, int32: true },
  'dense int32': { image: [1, 1, 128], out: 10, int32: true },
  'low bytes of 16-bit activations': { image: [5, 4, 13], out: 9, ...SAME, zeroPoint: -128, int32: true },
  'high bytes of 16-bit activations': {
    batch: 2,
    image: [5, 4, 13],
    out: 9,
    ...SAME,
    x: 'small',
    int32: true,
  },
  'low bytes at their largest': {
    image: [2, 2, 300],
    out: 5,
    ...SAME,
    zeroPoint: 127,
    x: 'min',
    w: 'extremes',
    int32: true,
  },
  'dense int32 batch 3': { batch: 3, image: [1, 1, 129], out: 11, int32: true },
  'dense 3x3 image': { image: [3, 3, 20], out: 12, kernel: [3, 3] },
  'all -128': { image: [6, 6, 16], out: 8, ...SAME, x: 'min', w: 'min', factor: 4e-5 },
  'all -128 int32': { image: [6, 6, 16], out: 8, ...SAME, x: 'min', w: 'min', int32: true },
  'all 127': { image: [6, 6, 16], out: 8, ...SAME, x: 'max', w: 'max', factor: 4e-5 },
  '-128 times 127': { image: [6, 6, 16], out: 8, ...SAME, x: 'min', w: 'max', factor: 4e-5 },
  'all zero point': { image: [6, 6, 16], out: 8, ...SAME, x: 'zeroPoint', zeroPoint: 37 },
  'only extremes': { image: [6, 6, 16], out: 8, ...SAME, x: 'extremes', w: 'extremes' },
  'zero point -128': { image: [5, 5, 8], out: 8, ...SAME, zeroPoint: -128, outZeroPoint: -128 },
  'zero point 127': { image: [5, 5, 8], out: 8, ...SAME, zeroPoint: 127, outZeroPoint: 127 },
  'zero points apart': { image: [5, 5, 6], out: 6, ...SAME, zeroPoint: -128, outZeroPoint: 127 },
  'zero channels': { image: [5, 5, 8], out: 9, ...SAME, zeroEvery: 2 },
  'every channel zero': { image: [3, 3, 8], out: 5, zeroEvery: 1 },
  'ties at 1/2': { image: [8, 8, 8], out: 8, x: 'small', w: 'small', factor: 0.5 },
  'ties at 1/4': { image: [8, 8, 8], out: 8, x: 'small', w: 'small', factor: 0.25 },
  'ties at 1/2 3x3': { image: [8, 8, 8], out: 8, ...SAME, x: 'small', w: 'small', factor: 0.5 },
  'ties at 3/2': { image: [8, 8, 4], out: 8, x: 'small', w: 'small', factor: 1.5 },
  'just below a tie': { image: [8, 8, 8], out: 8, x: 'small', w: 'small', factor: 0.5 - 2 ** -25 },
  'just above a tie': { image: [8, 8, 8], out: 8, x: 'small', w: 'small', factor: 0.5 + 2 ** -24 },
  'multiplier 1': { image: [8, 8, 4], out: 8, x: 'small', w: 'small', factor: 1 },
  'multiplier 3': { image: [8, 8, 4], out: 8, x: 'small', w: 'small', factor: 3 },
  'multiplier 2^24': { image: [4, 4, 4], out: 8, x: 'small', w: 'small', factor: 2 ** 24 },
  'multiplier 2^30': { image: [4, 4, 4], out: 8, x: 'small', w: 'small', factor: 2 ** 30 },
  'multiplier 2^-24': { image: [2, 2, 4], out: 32, factor: 1.3 * 2 ** -24, accs: LARGE },
  'multiplier 2^-24, 63 channels': { image: [1, 1, 4], out: 63, factor: 1.9 * 2 ** -25, accs: LARGE },
  'multiplier 2^-32': { image: [2, 2, 4], out: 32, factor: 2 ** -32, accs: LARGE },
  'ties of large accumulators': { image: [2, 2, 4], out: 64, factor: 2 ** -25, accs: TIES },
  'large accumulators near ties': { image: [2, 2, 4], out: 64, factor: 2 ** -25 - 2 ** -50, accs: TIES },
  'multiplier 2^-31': { image: [2, 2, 4], out: 32, factor: 2 ** -31, accs: LARGE },
  'multiplier 2^-60': { image: [4, 4, 8], out: 8, factor: 2 ** -60 },
  'subnormal multiplier': { image: [4, 4, 8], out: 8, factor: 2 ** -140 },
  'saturates both sides': { image: [8, 8, 16], out: 16, ...SAME, factor: 0.01 },
  relu: { image: [6, 6, 8], out: 8, ...SAME, outZeroPoint: -20, clip: [-20, 127] },
  'clip both sides': { image: [6, 6, 8], out: 8, ...SAME, outZeroPoint: 5, clip: [5, 100] },
  'clip to 4 bits': { image: [6, 6, 8], out: 8, ...SAME, clip: [-8, 7] },
  'weight zero points': { image: [6, 6, 8], out: 8, ...SAME, weightZeroPoint: true },
  'weight zero points, odd channels': {
    image: [5, 6, 7],
    out: 5,
    ...SAME,
    weightZeroPoint: true,
    zeroPoint: 99,
  },
  'weight zero points 1x1 batch 3': {
    batch: 3,
    image: [4, 4, 12],
    out: 9,
    weightZeroPoint: true,
    zeroPoint: -128,
  },
  'weight zero points dense': { image: [1, 1, 66], out: 34, weightZeroPoint: true, zeroPoint: -1 },
  'weight zero points depthwise': { image: [6, 6, 8], out: 8, ...SAME, groups: 8, weightZeroPoint: true },
  'weight zero points groups 2': { image: [6, 6, 8], out: 6, ...SAME, groups: 2, weightZeroPoint: true },
  'weight zero points stem': { image: [8, 8, 3], out: 16, ...SAME, weightZeroPoint: true, zeroPoint: 12 },
  'weight zero points int32': { image: [1, 1, 33], out: 10, weightZeroPoint: true, int32: true },
  pool: { image: [8, 8, 16], out: 32, ...SAME, pool: true },
  'pool odd image': { image: [7, 9, 8], out: 12, ...SAME, pool: true },
  'pool batch 3': { batch: 3, image: [6, 4, 8], out: 10, ...SAME, pool: true },
  'pool 2x2 image': { image: [2, 2, 64], out: 64, ...SAME, pool: true },
  'pool 3x3 image': { image: [3, 3, 16], out: 5, ...SAME, pool: true },
  'pool 1x1 kernel': { image: [6, 6, 16], out: 16, pool: true },
  'pool stem': { image: [12, 10, 3], out: 17, ...SAME, pool: true },
  'pool relu': { image: [8, 8, 8], out: 8, ...SAME, pool: true, outZeroPoint: -128, clip: [-128, 127] },
  'pool stride 2': { image: [9, 9, 8], out: 8, ...SAME, stride: [2, 2], pool: true },
  'pool weight zero points': { image: [6, 6, 8], out: 8, ...SAME, pool: true, weightZeroPoint: true },
  'pool depthwise': { image: [8, 8, 8], out: 8, ...SAME, groups: 8, pool: true },
  residual: { image: [6, 6, 16], out: 16, ...SAME, residual: true },
  'residual 1x1 odd channels': { batch: 3, image: [5, 7, 9], out: 13, residual: true },
  'residual stride 2': { image: [9, 8, 8], out: 24, ...SAME, stride: [2, 2], residual: true },
  'residual clip': {
    image: [6, 6, 8],
    out: 8,
    ...SAME,
    residual: true,
    outZeroPoint: -100,
    clip: [-100, 90],
  },
  'residual depthwise ties': {
    image: [6, 5, 6],
    out: 6,
    ...SAME,
    groups: 6,
    residual: true,
    x: 'small',
    w: 'small',
    factor: 0.5,
  },
  'residual depthwise': { image: [6, 6, 8], out: 8, ...SAME, groups: 8, residual: true },
  '4 bits': { image: [6, 7, 9], out: 13, ...SAME, w: '4 bits', factor: 0.01 },
  '4 bits 1x1 batch 3': { batch: 3, image: [5, 3, 20], out: 16, w: '4 bits', factor: 0.02 },
  '4 bits 5x5 stride 2': {
    image: [9, 8, 8],
    out: 32,
    kernel: [5, 5],
    stride: [2, 2],
    pads: [2, 2, 1, 1],
    w: '4 bits',
    x: 'extremes',
    factor: 0.005,
  },
  '4 bits dense': { image: [1, 1, 1027], out: 34, w: '4 bits', factor: 0.002, zeroPoint: -128 },
  '4 bits dense batch 2': { batch: 2, image: [1, 1, 80], out: 64, w: '4 bits', factor: 0.01 },
  '4 bits pool': { image: [6, 8, 12], out: 16, ...SAME, pool: true, w: '4 bits', factor: 0.01 },
  '4 bits residual': { image: [4, 6, 8], out: 16, ...SAME, residual: true, w: '4 bits', factor: 0.01 },
  '4 bits groups 2': { image: [5, 5, 24], out: 16, ...SAME, groups: 2, w: '4 bits', factor: 0.01 },
  '4 bits depthwise': { image: [6, 5, 12], out: 12, ...SAME, groups: 12, w: '4 bits', factor: 0.05 },
  '4 bits, a multiplier of 2^-50': { image: [2, 2, 8], out: 8, w: '4 bits', factor: 2 ** -50 },
  '2 bits': { image: [6, 7, 9], out: 13, ...SAME, w: '2 bits', factor: 0.03 },
  '2 bits dense': { image: [1, 1, 515], out: 36, w: '2 bits', factor: 0.01, x: 'extremes' },
  '2 bits pool batch 3': {
    batch: 3,
    image: [4, 6, 16],
    out: 16,
    ...SAME,
    pool: true,
    w: '2 bits',
    factor: 0.03,
  },
  '2 bits residual 1x1': { image: [5, 7, 20], out: 13, residual: true, w: '2 bits', factor: 0.05 },
  'int32 image': { image: [4, 5, 8], out: 6, ...SAME, int32: true },
  'int32 large': { image: [3, 3, 8], out: 32, int32: true, accs: LARGE },
};

function drawValues(values: Values, random: Random, zeroPoint: number): () => number {
  switch (values) {
    case 'min':
      return () => -128;
    case 'max':
      return () => 127;
    case 'zeroPoint':
      return () => zeroPoint;
    case 'extremes':
      return () => random.pick([-128, -127, -1, 0, 1, 126, 127]);
    case 'small':
      return () => zeroPoint + random.int(-3, 3);
    case '4 bits':
      return () => random.int(-8, 7);
    case '2 bits':
      return () => random.int(-2, 1);
    case 'random':
      return () => random.int(-128, 127);
  }
}

function convCase(label: string, spec: ConvSpec, random: Random): OperationCase {
  const { image, out, batch = 1, groups = 1, zeroPoint = -7, outZeroPoint = 3, pool = false } = spec;
  const builder = createProgramBuilder();
  const input = builder.input(image, zeroPoint);
  const window: Window2d = {
    kernel: spec.kernel ?? [1, 1],
    stride: spec.stride ?? [1, 1],
    pads: spec.pads ?? [0, 0, 0, 0],
    dilation: spec.dilation ?? [1, 1],
  };
  const k = window.kernel[0] * window.kernel[1] * (image[2] / groups);
  const zeroEvery = spec.accs ? 1 : (spec.zeroEvery ?? Infinity);
  const drawWeight = drawValues(spec.w ?? 'random', random, 0);
  const weights = Int8Array.from({ length: out * k }, (_, i) =>
    (Math.floor(i / k) + 1) % zeroEvery === 0 ? 0 : drawWeight(),
  );
  const weightZeroPoint = spec.weightZeroPoint
    ? Int8Array.from({ length: out }, (_, c) => [-128, 127, 0, 5, -31][c % 5])
    : undefined;
  const bias = Int32Array.from({ length: out }, (_, c) => {
    const sum = weights.subarray(c * k, (c + 1) * k).reduce((total, w) => total + w, 0);
    const folded = k * zeroPoint * (weightZeroPoint?.[c] ?? 0) - zeroPoint * sum;
    if (spec.accs) return folded + spec.accs[c % spec.accs.length];
    return folded + (spec.x === 'small' ? random.int(-9, 9) : random.int(-2000, 2000));
  });
  // Products of two random int8 have a standard deviation of about 74².
  const spread = 50 / (74 * 74 * Math.sqrt(k));
  const factor = (c: number) => spec.factor ?? spread * (0.5 + ((c * 7919) % 1000) / 500);
  const [lo, hi] = spec.clip ?? [-128, 127];
  const [height, width] = windowOutput(window, image);
  const shape: ImageShape = pool ? [height >> 1, width >> 1, out] : [height, width, out];
  const convZeroPoint = spec.residual ? -11 : outZeroPoint;
  const side = spec.residual ? builder.input(shape, 20) : undefined;
  const output = builder.tensor(shape, spec.int32 ? 0 : outZeroPoint, spec.int32 ? 'accumulator' : 'int8');
  builder.emit<Conv2dOperation>({
    kind: 'conv2d',
    name: label,
    inputs: side ? [input.id, side.id] : [input.id],
    output: output.id,
    ...window,
    groups,
    weights: int8Weights(
      { outChannels: out, taps: window.kernel[0] * window.kernel[1], inChannels: image[2] / groups },
      weights,
      weightZeroPoint,
    ),
    bias,
    requantize: spec.int32
      ? null
      : spec.residual
        ? requantizeBy(out, factor, convZeroPoint)
        : requantizeBy(out, factor, outZeroPoint, lo, hi),
    pool,
    residual: side ? rescaleBy([0.83, 0.41], [convZeroPoint, side.zeroPoint], outZeroPoint, lo, hi) : null,
  });
  const inputs = new Map([
    [input.id, fillImage(input, batch, drawValues(spec.x ?? 'random', random, zeroPoint))],
  ]);
  if (side)
    inputs.set(
      side.id,
      fillImage(side, batch, () => random.int(-128, 127)),
    );
  return finish('conv2d', label, builder.build(label), batch, inputs);
}

function finish(
  kind: string,
  label: string,
  program: IntegerProgram,
  batch: number,
  inputs: Map<TensorId, Int8Array>,
): OperationCase {
  return { name: `${kind}: ${label}`, kind, program, batch, inputs };
}

interface PoolSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  readonly kernel: Window2d['kernel'];
  readonly stride?: Window2d['stride'];
  readonly pads?: Window2d['pads'];
  readonly dilation?: Window2d['dilation'];
  readonly x?: Values;
  readonly zeroPoint?: number;
}

const POOL_SPECS: Record<string, PoolSpec> = {
  '1x1': { image: [3, 3, 5], kernel: [1, 1] },
  '2x2': { image: [8, 8, 16], kernel: [2, 2], stride: [2, 2] },
  '2x2 odd image': { image: [7, 5, 6], kernel: [2, 2], stride: [2, 2] },
  '2x2 batch 3': { batch: 3, image: [4, 6, 3], kernel: [2, 2], stride: [2, 2] },
  '2x2 stride 1': { image: [5, 6, 8], kernel: [2, 2] },
  '3x3 stride 2 padded': { image: [9, 8, 7], kernel: [3, 3], stride: [2, 2], pads: [1, 1, 1, 1] },
  '3x3 uneven padding': { image: [6, 7, 4], kernel: [3, 3], pads: [0, 1, 2, 0] },
  '3x2 stride 1x3': { image: [7, 9, 2], kernel: [3, 2], stride: [1, 3] },
  'whole image': { image: [4, 4, 33], kernel: [4, 4] },
  'whole image batch 3': { batch: 3, image: [7, 5, 17], kernel: [7, 5] },
  'all -128 padded': { image: [4, 4, 4], kernel: [3, 3], pads: [1, 1, 1, 1], x: 'min', zeroPoint: 10 },
  'all 127 padded': { image: [4, 4, 6], kernel: [3, 3], pads: [1, 1, 1, 1], x: 'max', zeroPoint: -128 },
  'zero point 127': { image: [5, 5, 5], kernel: [2, 2], x: 'extremes', zeroPoint: 127 },
  'one channel': { image: [6, 6, 1], kernel: [2, 2], stride: [2, 2] },
};

function poolParts(spec: PoolSpec, random: Random) {
  const { image, batch = 1, zeroPoint = -3 } = spec;
  const builder = createProgramBuilder();
  const input = builder.input(image, zeroPoint);
  const window: Window2d = {
    kernel: spec.kernel,
    stride: spec.stride ?? [1, 1],
    pads: spec.pads ?? [0, 0, 0, 0],
    dilation: spec.dilation ?? [1, 1],
  };
  const [height, width] = windowOutput(window, image);
  const shape: ImageShape = [height, width, image[2]];
  const data = fillImage(input, batch, drawValues(spec.x ?? 'random', random, zeroPoint));
  return { builder, input, window, shape, batch, inputs: new Map([[input.id, data]]) };
}

function maxPoolCase(label: string, spec: PoolSpec, random: Random): OperationCase {
  const { builder, input, window, shape, batch, inputs } = poolParts(spec, random);
  const output = builder.tensor(shape, input.zeroPoint);
  builder.emit<MaxPool2dOperation>({
    kind: 'maxPool2d',
    name: label,
    inputs: [input.id],
    output: output.id,
    ...window,
  });
  return finish('maxPool2d', label, builder.build(label), batch, inputs);
}

function averagePoolCase(
  label: string,
  spec: PoolSpec & { factor?: number; countIncludePad?: boolean; overhang?: readonly [number, number] },
  random: Random,
): OperationCase {
  const { builder, input, window, shape, batch, inputs } = poolParts(spec, random);
  const output = builder.tensor(shape, 11);
  const counts = Array.from({ length: window.kernel[0] * window.kernel[1] }, (_, i) => i + 1);
  const common = commonRescale(
    counts.map((count) => (spec.factor ?? 1.7) / count),
    counts,
    true,
  );
  builder.emit<AveragePool2dOperation>({
    kind: 'averagePool2d',
    name: label,
    inputs: [input.id],
    output: output.id,
    ...window,
    countIncludePad: spec.countIncludePad ?? false,
    overhang: spec.overhang ?? [0, 0],
    rescale: {
      ...common,
      inputZeroPoints: Int32Array.of(input.zeroPoint),
      zeroPoint: output.zeroPoint,
      lo: -128,
      hi: 127,
    },
  });
  return finish('averagePool2d', label, builder.build(label), batch, inputs);
}

interface AddSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  readonly factors?: readonly [number, number];
  readonly zeroPoints?: readonly [a: number, b: number, y: number];
  readonly x?: Values;
  readonly clip?: readonly [lo: number, hi: number];
  /** The same tensor twice. */
  readonly twice?: boolean;
}

const ADD_SPECS: Record<string, AddSpec> = {
  'one value': { image: [1, 1, 1] },
  primes: { image: [5, 7, 13] },
  'batch 3': { batch: 3, image: [4, 4, 16] },
  'channels 65': { image: [3, 3, 65] },
  'ties at 1/2': { image: [8, 8, 8], factors: [0.5, 0.5] },
  'ties at 1/4': { image: [8, 8, 8], factors: [0.25, 0.5] },
  saturates: { image: [8, 8, 8], factors: [3, 2.5] },
  'scales far apart': { image: [6, 6, 4], factors: [0.9, 1e-6] },
  'large scales': { image: [4, 4, 4], factors: [2000, 1500] },
  'all -128': { image: [4, 4, 4], x: 'min', zeroPoints: [127, 127, -128] },
  'all 127': { image: [4, 4, 4], x: 'max', zeroPoints: [-128, -128, 127] },
  'zero points apart': { image: [5, 5, 5], zeroPoints: [-128, 127, 0] },
  relu: { image: [5, 5, 8], zeroPoints: [3, -4, -30], clip: [-30, 127] },
  'with itself': { image: [5, 5, 6], twice: true, factors: [0.6, 0.6], zeroPoints: [9, 9, 2] },
};

function addCase(label: string, spec: AddSpec, random: Random): OperationCase {
  const { image, batch = 1, factors = [0.71, 0.55], zeroPoints = [5, -9, 1] } = spec;
  const builder = createProgramBuilder();
  const a = builder.input(image, zeroPoints[0]);
  const b = spec.twice ? a : builder.input(image, zeroPoints[1]);
  const output = builder.tensor(image, zeroPoints[2]);
  const [lo, hi] = spec.clip ?? [-128, 127];
  builder.emit<BinaryOperation>({
    kind: 'binary',
    function: 'sum',
    name: label,
    inputs: [a.id, b.id],
    output: output.id,
    rescale: rescaleBy(factors, [zeroPoints[0], zeroPoints[1]], zeroPoints[2], lo, hi),
  });
  const draw = drawValues(spec.x ?? 'random', random, 0);
  const inputs = new Map([a, b].map((tensor) => [tensor.id, fillImage(tensor, batch, draw)]));
  return finish('binary', `sum, ${label}`, builder.build(label), batch, inputs);
}

interface MulSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  /** The second operand is one pixel. */
  readonly pixel?: boolean;
  readonly factor?: number;
  readonly zeroPoints?: readonly [a: number, b: number, y: number];
  readonly x?: Values;
  readonly clip?: readonly [lo: number, hi: number];
}

const MUL_SPECS: Record<string, MulSpec> = {
  'one value': { image: [1, 1, 1] },
  primes: { image: [5, 7, 13] },
  'primes by a pixel': { image: [5, 7, 13], pixel: true },
  'batch 3': { batch: 3, image: [4, 4, 16] },
  'batch 3 by a pixel': { batch: 3, image: [4, 3, 16], pixel: true },
  'channels 65 by a pixel': { batch: 2, image: [3, 3, 65], pixel: true },
  'ties at 1/2': { image: [8, 8, 8], factor: 0.5 },
  'ties at 1/64 by a pixel': { image: [8, 8, 8], factor: 1 / 64, pixel: true },
  saturates: { image: [8, 8, 8], factor: 40 },
  'tiny factor': { image: [6, 6, 4], factor: 1e-12 },
  'largest product': { image: [4, 4, 4], x: 'min', zeroPoints: [127, 127, -128], factor: 1 / 260 },
  'most negative product': { image: [4, 4, 4], x: 'extremes', zeroPoints: [127, -128, 5], factor: 1 / 300 },
  'hard swish gate': {
    image: [5, 5, 8],
    zeroPoints: [-90, -128, -80],
    factor: 1 / 255,
    clip: [-80, 90],
    pixel: true,
  },
};

function mulCase(label: string, spec: MulSpec, random: Random): OperationCase {
  const { image, batch = 1, factor = 1 / 90, zeroPoints = [5, -9, 1] } = spec;
  const builder = createProgramBuilder();
  const a = builder.input(image, zeroPoints[0]);
  const b = builder.input(spec.pixel ? [1, 1, image[2]] : image, zeroPoints[1]);
  const output = builder.tensor(image, zeroPoints[2]);
  const [lo, hi] = spec.clip ?? [-128, 127];
  builder.emit<BinaryOperation>({
    kind: 'binary',
    function: 'product',
    name: label,
    inputs: [a.id, b.id],
    output: output.id,
    rescale: multiplyBy(factor, [zeroPoints[0], zeroPoints[1]], zeroPoints[2], lo, hi),
  });
  const draw = drawValues(spec.x ?? 'random', random, 0);
  const inputs = new Map([a, b].map((tensor) => [tensor.id, fillImage(tensor, batch, draw)]));
  return finish('binary', `product, ${label}`, builder.build(label), batch, inputs);
}

interface BroadcastSpec {
  readonly of: BinaryOperation['function'];
  readonly batch?: number;
  readonly image: ImageShape;
  /** Of the second operand. */
  readonly other: ImageShape;
  readonly clip?: readonly [lo: number, hi: number];
  readonly x?: Values;
}

const BROADCAST_SPECS: Record<string, BroadcastSpec> = {
  'by a plane, batch 3': { of: 'product', batch: 3, image: [4, 3, 7], other: [4, 3, 1] },
  'and a plane, channels 16': { of: 'sum', batch: 2, image: [3, 5, 16], other: [3, 5, 1] },
  'and a row': { of: 'sum', batch: 3, image: [4, 5, 6], other: [1, 5, 6] },
  'by a column': { of: 'product', batch: 2, image: [4, 5, 6], other: [4, 1, 6] },
  'and a value, batch 3': { of: 'sum', batch: 3, image: [3, 2, 9], other: [1, 1, 1] },
  'by a row of one channel': { of: 'product', batch: 3, image: [3, 4, 5], other: [1, 4, 1] },
  'of two tensors, primes': { of: 'maximum', batch: 3, image: [5, 7, 13], other: [5, 7, 13] },
  'of two tensors, clamped': { of: 'minimum', image: [4, 4, 16], other: [4, 4, 16], clip: [-100, 20] },
  'of a tensor and a pixel': { of: 'minimum', batch: 2, image: [3, 4, 6], other: [1, 1, 6], x: 'extremes' },
  'of each pair, batch 3': { of: 'entry', batch: 3, image: [5, 3, 7], other: [5, 3, 7] },
  'of each pair with a plane': { of: 'entry', batch: 2, image: [3, 4, 6], other: [3, 4, 1], x: 'extremes' },
  'of each pair with a pixel': { of: 'entry', batch: 2, image: [3, 4, 6], other: [1, 1, 6], clip: [-90, 60] },
  'of a tensor and a plane': {
    of: 'maximum',
    batch: 3,
    image: [4, 3, 5],
    other: [4, 3, 1],
    clip: [-20, 127],
  },
};

function broadcastCase(label: string, spec: BroadcastSpec, random: Random): OperationCase {
  const { of, image, other, batch = 1, clip: [lo, hi] = [-128, 127] } = spec;
  const isUnscaled = of === 'maximum' || of === 'minimum' || of === 'entry';
  const builder = createProgramBuilder();
  const zeros = isUnscaled ? ([0, 0] as const) : ([127, -128] as const);
  const a = builder.input(image, 7);
  const b = builder.input(other, -9);
  const output = builder.tensor(image, 33);
  const rescale = isUnscaled
    ? { ...rescaleBy([1, 1], zeros, 0, lo, hi), multipliers: Int32Array.of(1, 1), shift: 0 }
    : of === 'sum'
      ? rescaleBy([0.31, 0.77], zeros, 33, lo, hi)
      : multiplyBy(1 / 130, zeros, 33, lo, hi);
  builder.emit<BinaryOperation>({
    kind: 'binary',
    function: of,
    name: label,
    inputs: [a.id, b.id],
    output: output.id,
    rescale,
    ...(of === 'entry' && { table: Int8Array.from({ length: 65536 }, () => random.int(-128, 127)) }),
  });
  const draw = drawValues(spec.x ?? 'random', random, 0);
  const inputs = new Map([a, b].map((tensor) => [tensor.id, fillImage(tensor, batch, draw)]));
  return finish('binary', `${of} ${label}`, builder.build(label), batch, inputs);
}

interface ConcatSpec {
  readonly batch?: number;
  readonly size?: readonly [height: number, width: number];
  readonly channels: readonly number[];
  /** 'same': no rescaling at all. */
  readonly factors?: 'same' | readonly number[];
}

const CONCAT_SPECS: Record<string, ConcatSpec> = {
  '4 and 4': { channels: [4, 4], factors: 'same' },
  '4 and 4 rescaled': { channels: [4, 4] },
  '3 and 5': { channels: [3, 5], factors: 'same' },
  '1, 1 and 1': { channels: [1, 1, 1] },
  '5, 8 and 3': { batch: 3, channels: [5, 8, 3] },
  '16 and 7': { size: [7, 3], channels: [16, 7], factors: [1.5, 0.5] },
  '6 and 6': { size: [1, 1], channels: [6, 6], factors: 'same' },
  'ties at 1/2': { channels: [8, 8], factors: [0.5, 0.25] },
  '64, 32, 33 and 1': { channels: [64, 32, 33, 1] },
};

function concatCase(label: string, spec: ConcatSpec, random: Random): OperationCase {
  const { batch = 1, size = [4, 5], channels, factors = channels.map((_, i) => 0.6 + 0.37 * i) } = spec;
  const builder = createProgramBuilder();
  const zeroPoint = 6;
  const parts = channels.map((count, i) =>
    builder.input([...size, count], factors === 'same' ? zeroPoint : 5 * i - 8),
  );
  const output = builder.tensor([...size, channels.reduce((sum, count) => sum + count, 0)], zeroPoint);
  const rescales = parts.map((part, i) =>
    rescaleBy([factors === 'same' ? 1 : factors[i]], [part.zeroPoint], zeroPoint),
  );
  builder.emit<MoveOperation>({
    kind: 'move',
    name: label,
    inputs: parts.map((part) => part.id),
    output: output.id,
    parts: joined(parts, rescales),
    fill: zeroPoint,
  });
  const inputs = new Map(parts.map((part) => [part.id, fillImage(part, batch, () => random.int(-128, 127))]));
  return finish('move', `joined, ${label}`, builder.build(label), batch, inputs);
}

interface GatherSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  readonly channels: readonly number[];
}

const range = (length: number, from = 0, step = 1) => Array.from({ length }, (_, i) => from + i * step);

const GATHER_SPECS: Record<string, GatherSpec> = {
  'first half': { image: [5, 7, 16], channels: range(8) },
  'second half of odd words': { batch: 3, image: [4, 3, 10], channels: range(5, 5) },
  'every third, backwards': { image: [3, 5, 13], channels: range(5, 12, -3) },
  'shuffle of 2 groups': { image: [5, 4, 22], channels: range(22).map((c) => (c % 2) * 11 + (c >> 1)) },
  'shuffle of 3 groups, batch 3': {
    batch: 3,
    image: [3, 3, 12],
    channels: range(12).map((c) => (c % 3) * 4 + ((c / 3) | 0)),
  },
  'more than there were': { image: [4, 4, 3], channels: [2, 2, 0, 1, 1, 2, 0] },
  'the last one': { image: [6, 5, 65], channels: [64] },
  'one value': { image: [1, 1, 1], channels: [0] },
};

function gatherCase(
  label: string,
  { batch = 1, image, channels }: GatherSpec,
  random: Random,
): OperationCase {
  const builder = createProgramBuilder();
  const input = builder.input(image, -77);
  const output = builder.tensor([image[0], image[1], channels.length], -77);
  builder.emit<MoveOperation>({
    kind: 'move',
    name: label,
    inputs: [input.id],
    output: output.id,
    parts: [selection(input, output, channels)],
    fill: -77,
  });
  const draw = drawValues('random', random, 0);
  return finish(
    'move',
    `selected, ${label}`,
    builder.build(label),
    batch,
    new Map([[input.id, fillImage(input, batch, draw)]]),
  );
}

interface MoveSpec {
  readonly batch?: number;
  readonly from: ImageShape;
  readonly to: ImageShape;
  /** Where the elements of each axis of [C, H, W] come from, as `LogicalMove.axes`; by default the logical order stays. */
  readonly axes?: (from: readonly [channels: number, height: number, width: number]) => readonly number[][];
  readonly table?: boolean;
}

const OUT = -1;
/** Rows or columns of `size` with borders of nowhere. */
const framed = (size: number, before: number, behind: number, stride: number) => [
  ...range(before).map(() => OUT),
  ...range(size).map((i) => i * stride),
  ...range(behind).map(() => OUT),
];

const MOVE_SPECS: Record<string, MoveSpec> = {
  'height and channels exchanged': {
    batch: 3,
    from: [5, 7, 13],
    to: [13, 7, 5],
    axes: ([c, h, w]) => [range(h, 0, w), range(c, 0, h * w), range(w)],
  },
  'width and channels exchanged, through a table': {
    from: [3, 6, 8],
    to: [3, 8, 6],
    axes: ([c, h, w]) => [range(w), range(h, 0, w), range(c, 0, h * w)],
    table: true,
  },
  'rows backwards, every second column': {
    from: [5, 6, 10],
    to: [5, 3, 10],
    axes: ([c, h, w]) => [range(c, 0, h * w), range(h, (h - 1) * w, -w), range(w / 2, 0, 2)],
  },
  'padded on all sides': {
    batch: 2,
    from: [3, 4, 5],
    to: [6, 6, 9],
    axes: ([c, h, w]) => [framed(c, 1, 3, h * w), framed(h, 1, 2, w), framed(w, 2, 0, 1)],
  },
  'padded in whole words, through a table': {
    from: [2, 3, 8],
    to: [4, 3, 8],
    axes: ([c, h, w]) => [range(c, 0, h * w), framed(h, 1, 1, w), range(w)],
    table: true,
  },
  'depth to space': {
    from: [3, 2, 12],
    to: [6, 4, 3],
    axes: ([, h, w]) => [
      range(3, 0, 4 * h * w),
      range(6).map((y) => (y >> 1) * w + (y & 1) * 2 * h * w),
      range(4).map((x) => (x >> 1) + (x & 1) * h * w),
    ],
  },
  'channels as columns': {
    batch: 2,
    from: [1, 3, 7],
    to: [3, 7, 1],
    axes: () => [[0], range(3), range(7, 0, 3)],
  },
  'channels as rows, through a table': {
    from: [1, 1, 8],
    to: [8, 1, 1],
    axes: () => [[0], range(8), [0]],
    table: true,
  },
  'regrouped element by element': { batch: 3, from: [4, 5, 6], to: [8, 3, 5] },
};

function moveCase(
  label: string,
  { batch = 1, from, to, axes, table = false }: MoveSpec,
  random: Random,
): OperationCase {
  const builder = createProgramBuilder();
  const input = builder.input(from, -5);
  const output = builder.tensor(to, table ? 9 : -5);
  const sizes = ([height, width, channels]: ImageShape) => [channels, height, width] as const;
  const move = axes
    ? { shape: sizes(to), axes: axes(sizes(from)).map((list) => Int32Array.from(list)) }
    : relayout(sizes(to));
  const map = Int8Array.from({ length: 256 }, () => random.int(-128, 127));
  builder.emit<MoveOperation>({
    kind: 'move',
    name: label,
    inputs: [input.id],
    output: output.id,
    parts: [
      { first: [0, 0, 0], size: to, source: moveSource(input, output, move)!, table: table ? map : null },
    ],
    fill: 77,
  });
  const draw = drawValues('random', random, 0);
  const inputs = new Map([[input.id, fillImage(input, batch, draw)]]);
  return finish('move', label, builder.build(label), batch, inputs);
}

const LOOKUP_SPECS: Record<string, { batch?: number; image: ImageShape }> = {
  'every value': { image: [16, 16, 1] },
  'primes, batch 3': { batch: 3, image: [5, 7, 3] },
  'channels 33': { image: [3, 5, 33] },
  'one value': { image: [1, 1, 1] },
  'channels 16': { image: [8, 9, 16] },
};

/** A table for each channel. */
const CHANNEL_LOOKUP_SPECS: Record<string, { batch?: number; image: ImageShape }> = {
  'by channel, primes, batch 3': { batch: 3, image: [5, 7, 3] },
  'by channel, every value': { image: [16, 16, 2] },
  'by channel, more than a block': { batch: 2, image: [3, 5, 77] },
  'by channel, whole blocks': { image: [1, 3, 128] },
  'by channel, dense': { batch: 3, image: [1, 1, 5] },
};

function lookupCase(
  label: string,
  spec: { batch?: number; image: ImageShape; tables?: number },
  random: Random,
): OperationCase {
  const { image, batch = 1 } = spec;
  const builder = createProgramBuilder();
  const input = builder.input(image, 4);
  const output = builder.tensor(image, -77);
  const table = random.int8s(256 * (spec.tables ?? 1));
  builder.emit<LookupOperation>({
    kind: 'lookup',
    name: label,
    inputs: [input.id],
    output: output.id,
    table,
  });
  // Walks through all 256 values, whatever the padding.
  const inputs = new Map([[input.id, fillImage(input, batch, (i) => ((i * 67) % 256) - 128)]]);
  return finish('lookup', label, builder.build(label), batch, inputs);
}

interface MatMulSpec {
  readonly batch?: number;
  /** Matrices of an image, rows, columns, inner axis. */
  readonly size: readonly [rows: number, height: number, width: number, depth: number];
  readonly zeroPoints?: readonly [a: number, b: number, y: number];
  readonly x?: Values;
  readonly factor?: number;
  readonly clip?: readonly [lo: number, hi: number];
  readonly int32?: boolean;
}

const MATMUL_SPECS: Record<string, MatMulSpec> = {
  'one value': { size: [1, 1, 1, 1] },
  'primes, batch 3': { batch: 3, size: [3, 7, 5, 13] },
  'a row': { size: [2, 1, 33, 16] },
  'a column': { batch: 2, size: [2, 9, 1, 6] },
  'heads of 8': { size: [4, 17, 17, 8] },
  'whole words': { size: [3, 8, 8, 64] },
  '65 by 66 by 67': { size: [1, 65, 66, 67] },
  'within tiles, batch 2': { batch: 2, size: [2, 30, 29, 70], zeroPoints: [0, -9, 3] },
  'past a tile, int32': { size: [2, 90, 61, 129], zeroPoints: [-128, 0, 0], x: 'extremes', int32: true },
  'past large tiles': { size: [1, 125, 62, 260], zeroPoints: [127, -128, 1], x: 'min', factor: 1 / 100_000 },
  'large tiles, int32': { batch: 2, size: [1, 64, 63, 64], zeroPoints: [3, 0, 0], int32: true },
  'zero points apart': { size: [2, 5, 6, 9], zeroPoints: [-128, 127, 5] },
  'largest sum of the longest axis': {
    size: [1, 3, 4, 33025],
    zeroPoints: [127, 127, -128],
    x: 'min',
    factor: 1 / 9_000_000,
  },
  'least sum': { size: [1, 5, 4, 1029], zeroPoints: [127, -128, 127], x: 'extremes', factor: 1 / 300_000 },
  'past the f32 flush boundary, int32': { size: [1, 5, 6, 1031], x: 'max', int32: true },
  'int32, batch 3': { batch: 3, size: [2, 4, 3, 10], zeroPoints: [-7, 99, 0], int32: true },
  'saturates, clipped': { size: [2, 6, 7, 20], factor: 1, clip: [-100, 90] },
  'ties at 1/2': { size: [1, 9, 8, 2], factor: 0.5, x: 'small' },
};

function matMulCase(label: string, spec: MatMulSpec, random: Random): OperationCase {
  const { size, batch = 1, zeroPoints = [5, -9, 1], clip = [-128, 127] } = spec;
  const [rows, height, width, depth] = size;
  const factor = spec.factor ?? 1 / (130 * Math.sqrt(depth));
  const builder = createProgramBuilder();
  const a = builder.input([rows, height, depth], zeroPoints[0]);
  const b = builder.input([rows, width, depth], zeroPoints[1]);
  const output = spec.int32
    ? builder.tensor([rows, height, width], 0, 'accumulator')
    : builder.tensor([rows, height, width], zeroPoints[2]);
  builder.emit<MatMulOperation>({
    kind: 'matMul',
    name: label,
    inputs: [a.id, b.id],
    output: output.id,
    requantize: spec.int32
      ? null
      : { ...toMultiplier(factor), zeroPoint: zeroPoints[2], lo: clip[0], hi: clip[1] },
  });
  const inputs = new Map(
    [a, b].map((tensor) => [
      tensor.id,
      fillImage(tensor, batch, drawValues(spec.x ?? 'random', random, tensor.zeroPoint)),
    ]),
  );
  return finish('matMul', label, builder.build(label), batch, inputs);
}

interface SoftmaxSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  /** Of the input, and of the output. */
  readonly scale?: number;
  readonly outScale?: number;
  readonly zeroPoint?: number;
  readonly x?: Values;
  readonly clip?: readonly [lo: number, hi: number];
}

const SOFTMAX_SPECS: Record<string, SoftmaxSpec> = {
  'one value': { image: [1, 1, 1] },
  'primes, batch 3': { batch: 3, image: [5, 7, 13] },
  'whole words': { image: [3, 4, 16] },
  'channels 65': { batch: 2, image: [1, 3, 65], scale: 0.02 },
  'channels 197': { image: [3, 5, 197], scale: 0.1 },
  'the longest': { image: [1, 2, 2048], scale: 0.01, outScale: 2 ** -14 },
  'ties: two and four equals': { image: [9, 9, 4], x: 'small', scale: 40, outScale: 1 / 3 },
  'ties: halves of steps': { image: [5, 9, 2], x: 'small', scale: 40, outScale: 1 },
  'all alike': { image: [2, 2, 48], x: 'zeroPoint' },
  extremes: { batch: 2, image: [4, 4, 10], x: 'extremes', zeroPoint: 0 },
  'all -128': { image: [2, 3, 5], x: 'min', zeroPoint: 127 },
  'a scale of no power of two': { image: [4, 5, 7], outScale: 0.0041, zeroPoint: -128 },
  'saturates, clipped': { image: [4, 5, 7], outScale: 1e-4, zeroPoint: 30, clip: [-128, 90] },
  'the least scale': { image: [4, 5, 7], outScale: 2 ** -23, zeroPoint: -128 },
  'a scale that leaves nothing': { image: [2, 2, 3], outScale: 1e9, zeroPoint: 4 },
};

function softmaxCase(label: string, spec: SoftmaxSpec, random: Random): OperationCase {
  const { image, batch = 1, scale = 0.05, outScale = 1 / 256, zeroPoint = -128, clip = [-128, 127] } = spec;
  const builder = createProgramBuilder();
  const input = builder.input(image, 7, scale);
  const output = builder.tensor(image, zeroPoint, 'int8', outScale);
  const { mantissa, shift } = toMultiplier(1 / outScale);
  builder.emit<SoftmaxOperation>({
    kind: 'softmax',
    name: label,
    inputs: [input.id],
    output: output.id,
    exponentials: softmaxExponentials(scale, image[2]),
    requantize: { mantissa, shift: Math.min(shift, 25), zeroPoint, lo: clip[0], hi: clip[1] },
  });
  const draw = drawValues(spec.x ?? 'random', random, 7);
  const inputs = new Map([[input.id, fillImage(input, batch, draw)]]);
  return finish('softmax', label, builder.build(label), batch, inputs);
}

const LOG_SOFTMAX_SPECS: Record<string, SoftmaxSpec> = {
  'one value': { image: [1, 1, 1] },
  'primes, batch 3': { batch: 3, image: [5, 7, 13] },
  'whole words': { image: [3, 4, 16], outScale: 0.1 },
  'channels 65': { batch: 2, image: [1, 3, 65], scale: 0.02, outScale: 0.02 },
  'channels 197': { image: [3, 5, 197], scale: 0.1 },
  'the longest': { image: [1, 2, 2048], scale: 0.01, outScale: 0.04 },
  'all alike': { image: [2, 2, 48], x: 'zeroPoint', outScale: 1 / 64 },
  'ties at halves of steps': { image: [5, 9, 1], x: 'small', outScale: 1 / 3, zeroPoint: 2 },
  extremes: { batch: 2, image: [4, 4, 10], x: 'extremes', zeroPoint: 0, scale: 0.3 },
  'all -128': { image: [2, 3, 5], x: 'min', zeroPoint: 127 },
  'saturates, clipped': { image: [4, 5, 7], outScale: 0.003, zeroPoint: 30, clip: [-128, 20] },
  'the least scale': { image: [4, 5, 2000], scale: 0.2, outScale: 2 ** -12, zeroPoint: 127 },
  'a scale that leaves nothing': { image: [2, 2, 3], outScale: 1e9, zeroPoint: 4 },
};

function logSoftmaxCase(label: string, spec: SoftmaxSpec, random: Random): OperationCase {
  const { image, batch = 1, scale = 0.05, outScale = 0.06, zeroPoint = 127, clip = [-128, 127] } = spec;
  const builder = createProgramBuilder();
  const input = builder.input(image, 7, scale);
  const output = builder.tensor(image, zeroPoint, 'int8', outScale);
  builder.emit<LogSoftmaxOperation>({
    kind: 'logSoftmax',
    name: label,
    inputs: [input.id],
    output: output.id,
    exponentials: softmaxExponentials(scale, image[2]),
    ...logarithmTables(scale, outScale),
    zeroPoint,
    lo: clip[0],
    hi: clip[1],
  });
  const draw = drawValues(spec.x ?? 'random', random, 7);
  const inputs = new Map([[input.id, fillImage(input, batch, draw)]]);
  return finish('logSoftmax', label, builder.build(label), batch, inputs);
}

interface NormalizeSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  /** Of groups of all pixels; else each pixel is one. */
  readonly groups?: number;
  /** Divides by the root of the mean of squares. */
  readonly isPlain?: boolean;
  readonly epsilon?: number;
  readonly scale?: number;
  readonly outScale?: number;
  /** Largest of the channels' scales and biases. */
  readonly gain?: number;
  readonly bias?: number;
  /** Scales of 0, and biases halfway between steps. */
  readonly areTies?: boolean;
  readonly zeroPoints?: readonly [x: number, y: number];
  readonly x?: Values;
  readonly clip?: readonly [lo: number, hi: number];
}

const NORMALIZE_SPECS: Record<string, NormalizeSpec> = {
  'one value': { image: [1, 1, 1] },
  'primes, batch 3': { batch: 3, image: [5, 7, 13] },
  'whole words': { image: [3, 4, 16] },
  'channels 197, batch 2': { batch: 2, image: [1, 3, 197] },
  'channels 769': { image: [2, 3, 769], x: 'extremes' },
  'many channels': { image: [1, 1, 65536], x: 'extremes', outScale: 0.02 },
  'two channels': { image: [9, 9, 2], x: 'small', epsilon: 1e-5 },
  'pixels all alike': { image: [4, 4, 24], x: 'zeroPoint', bias: 3 },
  'pixels all alike, no epsilon': { image: [4, 4, 24], x: 'min', epsilon: 0 },
  'pixels almost alike': { image: [5, 6, 40], x: 'small', epsilon: 1e-12, scale: 0.5 },
  'epsilon larger than the variance': { image: [5, 6, 40], epsilon: 10, scale: 0.001, outScale: 0.001 },
  'saturates, clipped': { image: [5, 6, 20], outScale: 0.002, clip: [-100, 60] },
  'biases beyond int8': { image: [5, 6, 20], bias: 40, gain: 30 },
  'ties to even': { image: [2, 2, 31], outScale: 1 / 32, areTies: true },
  'ties to even in instances': { image: [2, 2, 31], groups: 31, outScale: 1 / 32, areTies: true },
  'root mean squares, batch 2': { batch: 2, image: [5, 7, 13], isPlain: true, zeroPoints: [-77, 5] },
  'root mean squares, largest': { image: [2, 2, 1024], isPlain: true, x: 'min', zeroPoints: [127, 0] },
  'root mean squares of zeros': { image: [3, 3, 8], isPlain: true, x: 'zeroPoint', epsilon: 0 },
  'instances of primes, batch 3': { batch: 3, image: [5, 7, 13], groups: 13 },
  'instances of 65 channels': { image: [9, 8, 65], groups: 65, x: 'extremes' },
  'instances all alike': { image: [9, 8, 6], groups: 6, x: 'zeroPoint' },
  'large instances': { image: [300, 230, 3], groups: 3, x: 'extremes' },
  'large instances of one value': { image: [300, 230, 2], groups: 2, x: 'min', epsilon: 0 },
  'groups of whole words, batch 2': { batch: 2, image: [6, 5, 32], groups: 4 },
  'groups of three channels': { image: [6, 5, 15], groups: 5, x: 'small' },
  'one group of all': { batch: 2, image: [7, 5, 10], groups: 1 },
};

function normalizeCase(label: string, spec: NormalizeSpec, random: Random): OperationCase {
  const { image, groups, batch = 1, epsilon = 1e-5, scale = 0.05, outScale = 0.03 } = spec;
  const { gain = 1, bias = 0.5, zeroPoints = [7, -9], clip = [-128, 127], isPlain = false } = spec;
  const [height, width, channels] = image;
  const groupChannels = channels / (groups ?? 1);
  const count = groupChannels * (groups === undefined ? 1 : height * width);
  const builder = createProgramBuilder();
  const input = builder.input(image, zeroPoints[0], scale);
  const output = builder.tensor(image, zeroPoints[1], 'int8', outScale);
  const drawn = (largest: number) =>
    Float32Array.from({ length: channels }, () => largest * (2 * random.next() - 1));
  const halves = Float32Array.from({ length: channels }, (_, c) => (c - 15.5) * outScale);
  builder.emit<NormalizeOperation>({
    kind: 'normalize',
    name: label,
    inputs: [input.id],
    output: output.id,
    isSpatial: groups !== undefined,
    groupChannels,
    isCentred: !isPlain,
    offset: isPlain ? zeroPoints[0] : 0,
    ...rootParameters(count, !isPlain, epsilon, scale)!,
    ...(spec.areTies
      ? affineParameters(count, new Float32Array(channels), halves, outScale)!
      : affineParameters(count, drawn(gain), drawn(bias), outScale)!),
    zeroPoint: zeroPoints[1],
    lo: clip[0],
    hi: clip[1],
  });
  const draw = drawValues(spec.x ?? 'random', random, zeroPoints[0]);
  const inputs = new Map([[input.id, fillImage(input, batch, draw)]]);
  return finish('normalize', label, builder.build(label), batch, inputs);
}

interface ArgMaxSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  readonly of?: 'max' | 'min';
  readonly isLast?: boolean;
  readonly x?: Values;
}

const ARG_MAX_SPECS: Record<string, ArgMaxSpec> = {
  'one value': { image: [1, 1, 1] },
  'primes, batch 3': { batch: 3, image: [5, 7, 13] },
  'the last of the largest': { image: [5, 7, 13], isLast: true, x: 'small' },
  'the first of the largest': { image: [5, 7, 16], x: 'extremes' },
  'the last of the least': { batch: 2, image: [4, 3, 10], of: 'min', isLast: true, x: 'extremes' },
  'the first of the least': { image: [9, 9, 21], of: 'min' },
  'all -128, not the padding': { image: [2, 3, 5], x: 'min' },
  'all -128, the last': { image: [2, 3, 5], x: 'min', isLast: true },
  'all 127, least': { image: [2, 3, 6], x: 'max', of: 'min', isLast: true },
  'channels 1000': { image: [1, 3, 1000], x: 'extremes' },
};

function argMaxCase(label: string, spec: ArgMaxSpec, random: Random): OperationCase {
  const { image, batch = 1, of = 'max', isLast = false } = spec;
  const builder = createProgramBuilder();
  // Padded lanes hold the zero point, which no value exceeds.
  const input = builder.input(image, of === 'max' ? 127 : -128);
  const output = builder.tensor([1, 1, image[0] * image[1]], 0, 'int32', 1);
  builder.emit<ArgMaxOperation>({
    kind: 'argMax',
    name: label,
    inputs: [input.id],
    output: output.id,
    function: of,
    isLast,
  });
  const draw = drawValues(spec.x ?? 'random', random, 7);
  const inputs = new Map([[input.id, fillImage(input, batch, draw)]]);
  return finish('argMax', label, builder.build(label), batch, inputs);
}

interface ReduceSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  readonly axes: ReduceOperation['axes'];
  readonly of?: ReduceFunction;
  /** The root of the sum follows. */
  readonly root?: boolean;
  readonly factor?: number;
  readonly zeroPoints?: readonly [x: number, y: number];
  readonly x?: Values;
  readonly clip?: readonly [lo: number, hi: number];
}

const PIXELS = [true, true, false] as const;
const CHANNELS_ONLY = [false, false, true] as const;
const ALL = [true, true, true] as const;

const REDUCE_SPECS: Record<string, ReduceSpec> = {
  'one value': { image: [1, 1, 1], axes: ALL },
  'pixels of primes, batch 3': { batch: 3, image: [5, 7, 13], axes: PIXELS },
  'rows of primes': { batch: 2, image: [5, 7, 13], axes: [true, false, false] },
  'columns of whole words': { image: [6, 9, 16], axes: [false, true, false], factor: 0.3 },
  'channels of primes, batch 3': { batch: 3, image: [5, 7, 13], axes: CHANNELS_ONLY },
  'columns and channels': { batch: 2, image: [5, 4, 6], axes: [false, true, true] },
  'rows and channels': { image: [5, 4, 67], axes: [true, false, true] },
  'all of an image, batch 3': { batch: 3, image: [4, 3, 10], axes: ALL },
  'channels 65, 130': { image: [3, 5, 130], axes: PIXELS },
  'many pixels': { image: [70, 90, 5], axes: PIXELS, factor: 1 / 6300, x: 'extremes' },
  'largest sum': { image: [30, 40, 4], axes: PIXELS, x: 'max', zeroPoints: [-128, -128], factor: 1 / 1300 },
  'ties at 1/2': { image: [2, 6, 8], axes: [true, false, false], factor: 0.5 },
  'saturates, clipped': { image: [4, 4, 4], axes: ALL, factor: 1, clip: [-100, 100] },
  'no axis': { image: [3, 2, 5], axes: [false, false, false], factor: 0.7 },
  'magnitudes of pixels': { batch: 2, image: [5, 7, 6], axes: PIXELS, of: 'sumOfMagnitudes', factor: 0.02 },
  'magnitudes of channels': { image: [5, 7, 6], axes: CHANNELS_ONLY, of: 'sumOfMagnitudes', factor: 0.2 },
  'squares of pixels': { image: [5, 7, 6], axes: PIXELS, of: 'sumOfSquares', factor: 0.001 },
  'root of squares of channels': {
    batch: 3,
    image: [5, 3, 11],
    axes: CHANNELS_ONLY,
    of: 'sumOfSquares',
    root: true,
    factor: 0.4,
    zeroPoints: [9, -128],
  },
  'root of squares of pixels': {
    image: [9, 9, 7],
    axes: PIXELS,
    of: 'sumOfSquares',
    root: true,
    factor: 0.1,
    x: 'small',
    zeroPoints: [-20, 3],
    clip: [10, 90],
  },
  'root of the largest sum': {
    image: [3, 1, 11008],
    axes: ALL,
    of: 'sumOfSquares',
    root: true,
    factor: 1 / 200,
    x: 'min',
    zeroPoints: [127, -128],
  },
  'largest of pixels': { batch: 3, image: [5, 7, 13], axes: PIXELS, of: 'max' },
  'largest of channels': {
    batch: 2,
    image: [5, 7, 13],
    axes: CHANNELS_ONLY,
    of: 'max',
    zeroPoints: [127, 127],
  },
  'largest of -128': { image: [3, 3, 5], axes: ALL, of: 'max', x: 'min', zeroPoints: [127, 127] },
  'least of pixels': { image: [5, 7, 8], axes: PIXELS, of: 'min' },
  'least of channels': { image: [5, 7, 14], axes: CHANNELS_ONLY, of: 'min', zeroPoints: [-128, -128] },
  'least of 127': { image: [3, 3, 5], axes: ALL, of: 'min', x: 'max', zeroPoints: [-128, -128] },
};

function reduceCase(label: string, spec: ReduceSpec, random: Random): OperationCase {
  const {
    image,
    axes,
    of = 'sum',
    batch = 1,
    zeroPoints = [9, of === 'max' || of === 'min' ? 9 : -20],
  } = spec;
  const [lo, hi] = spec.clip ?? [-128, 127];
  const builder = createProgramBuilder();
  const input = builder.input(image, zeroPoints[0]);
  const outImage = image.map((size, axis) => (axes[axis] ? 1 : size)) as unknown as ImageShape;
  const output = builder.tensor(outImage, zeroPoints[1]);
  const factor = spec.factor ?? 0.05;
  const requantize = { ...toMultiplier(factor), zeroPoint: zeroPoints[1], lo, hi };
  const finishOf = (): ReduceOperation['finish'] => {
    if (of === 'max' || of === 'min') return { kind: 'select' };
    if (!spec.root) return { kind: 'requantize', requantize };
    return { kind: 'thresholds', thresholds: rootThresholds(factor, zeroPoints[1], lo, hi), lo };
  };
  builder.emit<ReduceOperation>({
    kind: 'reduce',
    name: label,
    function: of,
    inputs: [input.id],
    output: output.id,
    axes,
    finish: finishOf(),
  });
  const draw = drawValues(spec.x ?? 'random', random, zeroPoints[0]);
  const inputs = new Map([[input.id, fillImage(input, batch, draw)]]);
  return finish('reduce', label, builder.build(label), batch, inputs);
}

interface ResizeSpec {
  readonly batch?: number;
  readonly image: ImageShape;
  readonly size: readonly [height: number, width: number];
  readonly mode?: 'linear' | 'cubic';
  readonly rule?: string;
  readonly antialias?: boolean;
  readonly x?: Values;
  readonly zeroPoint?: number;
  readonly factor?: number;
}

const RESIZE_SPECS: Record<string, ResizeSpec> = {
  'twice as large': { image: [4, 5, 8], size: [8, 10] },
  'primes, batch 3': { batch: 3, image: [5, 7, 13], size: [11, 3] },
  'aligned corners': { image: [4, 4, 3], size: [7, 9], rule: 'align_corners' },
  'one pixel': { image: [1, 1, 5], size: [3, 4], x: 'extremes' },
  'rows only': { batch: 2, image: [3, 6, 4], size: [8, 6] },
  'cubic, primes': { image: [5, 7, 6], size: [9, 16], mode: 'cubic' },
  'cubic, largest sums': { image: [6, 6, 4], size: [13, 11], mode: 'cubic', x: 'extremes', zeroPoint: -128 },
  'a filter as wide as five and as seven pixels': {
    image: [11, 9, 5],
    size: [4, 2],
    mode: 'cubic',
    antialias: true,
  },
  saturates: { image: [4, 4, 4], size: [8, 8], factor: 5, zeroPoint: 127 },
};

function resizeCase(label: string, spec: ResizeSpec, random: Random): OperationCase {
  const { image, size, batch = 1, mode = 'linear', rule = 'half_pixel', zeroPoint = 9, factor = 0.9 } = spec;
  const builder = createProgramBuilder();
  const input = builder.input(image, zeroPoint);
  const output = builder.tensor([...size, image[2]], -20);
  const attributes = {
    mode,
    coordinate_transformation_mode: rule,
    antialias: Number(spec.antialias ?? false),
  };
  const node = { name: label, op: '', inputs: [], outputs: [], attributes };
  const taps = resizeTaps(node, image.slice(0, 2), size, undefined);
  if (typeof taps === 'string') throw new Error(taps);
  const bits = 10;
  const [rows, columns] = taps.map((axis, i): ResizeTaps => {
    const places = axis?.places ?? Int32Array.from({ length: size[i] }, (_, at) => at);
    const weights = axis?.weights ?? new Float64Array(size[i]).fill(1);
    return {
      count: axis?.count ?? 1,
      places,
      weights: Int32Array.from(weights, (weight) => Math.round(weight * 2 ** bits)),
    };
  });
  const { mantissa, shift } = toMultiplier(factor);
  builder.emit<ResizeOperation>({
    kind: 'resize',
    name: label,
    inputs: [input.id],
    output: output.id,
    rows,
    columns,
    requantize: { mantissa, shift: shift + 2 * bits, zeroPoint: -20, lo: -128, hi: 120 },
  });
  const draw = drawValues(spec.x ?? 'random', random, 0);
  return finish(
    'resize',
    label,
    builder.build(label),
    batch,
    new Map([[input.id, fillImage(input, batch, draw)]]),
  );
}

const CONSTANT_SPECS: Record<string, { batch?: number; image: ImageShape }> = {
  'one value': { image: [1, 1, 1] },
  'a pixel, batch 3': { batch: 3, image: [1, 1, 7] },
  'primes, batch 3': { batch: 3, image: [5, 7, 13] },
  'a row': { image: [1, 65, 4] },
  'batch 2': { batch: 2, image: [3, 2, 8] },
};

function constantCase(
  label: string,
  { image, batch = 1 }: { batch?: number; image: ImageShape },
  random: Random,
): OperationCase {
  const builder = createProgramBuilder();
  const output = builder.tensor(image, -77);
  const values = fillImage(output, 1, () => random.int(-128, 127));
  builder.emit<ConstantOperation>({
    kind: 'constant',
    name: label,
    inputs: [],
    output: output.id,
    values,
  });
  return finish('constant', label, builder.build(label), batch, new Map());
}

/** About 180 cases that run in seconds: each has a reason, which its name gives. */
export function quickCases(): OperationCase[] {
  const random = createRandom(1);
  const make = <T>(
    specs: Record<string, T>,
    build: (label: string, spec: T, random: Random) => OperationCase,
  ) => Object.entries(specs).map(([label, spec]) => build(label, spec, random));
  return [
    ...make(CONV_SPECS, convCase),
    ...make(POOL_SPECS, maxPoolCase),
    ...make(POOL_SPECS, averagePoolCase),
    averagePoolCase(
      'counts padding',
      { ...POOL_SPECS['3x3 stride 2 padded'], countIncludePad: true },
      random,
    ),
    averagePoolCase('ties', { image: [8, 8, 8], kernel: [2, 2], stride: [2, 2], factor: 1 }, random),
    averagePoolCase('large window', { image: [24, 24, 3], kernel: [24, 24], x: 'extremes' }, random),
    ...make(ADD_SPECS, addCase),
    ...make(MUL_SPECS, mulCase),
    ...make(CONCAT_SPECS, concatCase),
    ...make(GATHER_SPECS, gatherCase),
    ...make(MOVE_SPECS, moveCase),
    ...make(LOOKUP_SPECS, lookupCase),
    ...make(CONSTANT_SPECS, constantCase),
    ...make(RESIZE_SPECS, resizeCase),
    ...make(MATMUL_SPECS, matMulCase),
    ...make(SOFTMAX_SPECS, softmaxCase),
    ...make(REDUCE_SPECS, reduceCase),
    ...make(LOG_SOFTMAX_SPECS, logSoftmaxCase),
    ...make(ARG_MAX_SPECS, argMaxCase),
    ...make(NORMALIZE_SPECS, normalizeCase),
    averagePoolCase(
      'counts padding, but not beyond it',
      {
        ...{ batch: 3, image: [6, 7, 5], kernel: [3, 3], stride: [2, 3], pads: [1, 1, 2, 2] },
        ...{ countIncludePad: true, overhang: [1, 2] },
      },
      random,
    ),
    averagePoolCase(
      'counts padding, dilated, but not beyond it',
      {
        ...{ image: [9, 8, 4], kernel: [3, 2], stride: [2, 2], pads: [1, 0, 2, 2], dilation: [2, 3] },
        ...{ countIncludePad: true, overhang: [2, 1] },
      },
      random,
    ),
    ...make(BROADCAST_SPECS, broadcastCase),
    ...make(CHANNEL_LOOKUP_SPECS, (label, spec, source) =>
      lookupCase(label, { ...spec, tables: spec.image[2] }, source),
    ),
  ];
}

/** The quick cases and `extra` random ones (drawn from the same awkward sizes), for a thorough run. */
export function fullCases(extra = 400, seed = 2): OperationCase[] {
  return [
    ...quickCases(),
    ...Array.from({ length: extra }, (_, i) => {
      const random = createRandom(seed * 1_000_003 + i);
      const label = `seed ${seed}, number ${i}`;
      const kind = random.int(0, 10);
      if (kind < 6) return convCase(label, randomConv(random), random);
      if (kind === 6) return maxPoolCase(label, randomPool(random), random);
      if (kind === 7) {
        return averagePoolCase(label, { ...randomPool(random), countIncludePad: random.chance(0.5) }, random);
      }
      if (kind === 8) {
        const count = random.int(1, 5);
        const channels = Array.from({ length: count }, () => random.pick(CHANNELS));
        return concatCase(label, { batch: random.int(1, 3), channels }, random);
      }
      const image: ImageShape = [random.int(1, 9), random.int(1, 9), random.pick(CHANNELS)];
      if (kind === 9) {
        const factor = 10 ** -random.int(0, 4) * random.next();
        return mulCase(label, { batch: random.int(1, 3), image, factor, pixel: random.chance(0.5) }, random);
      }
      const factors = [0.05 + 2 * random.next(), 0.05 + 2 * random.next()] as const;
      return addCase(label, { batch: random.int(1, 3), image, factors }, random);
    }),
  ];
}

function randomWindow(
  random: Random,
): Required<Pick<PoolSpec, 'image' | 'kernel' | 'stride' | 'pads' | 'dilation'>> {
  const kernel = random.pick([
    [1, 1],
    [3, 3],
    [3, 3],
    [2, 2],
    [5, 5],
    [1, 3],
    [3, 2],
  ] as const);
  const dilation = random.chance(0.2) ? ([random.int(1, 2), random.int(1, 3)] as const) : ([1, 1] as const);
  // Padding stays below the kernel's extent, so that every window has a tap inside the image.
  const pad = (axis: 0 | 1) => (random.chance(0.5) ? 0 : random.int(0, kernel[axis] - 1));
  const image = [
    random.int(dilation[0] * (kernel[0] - 1) + 1, 12),
    random.int(dilation[1] * (kernel[1] - 1) + 1, 12),
    random.pick(CHANNELS),
  ] as const;
  return {
    image,
    kernel,
    dilation,
    stride: random.chance(0.6) ? [1, 1] : [random.int(1, 3), random.int(1, 3)],
    pads: [pad(0), pad(1), pad(0), pad(1)],
  };
}

function randomPool(random: Random): PoolSpec {
  return {
    ...randomWindow(random),
    dilation: [1, 1],
    batch: random.pick([1, 1, 2, 3]),
    zeroPoint: random.int(-128, 127),
    x: random.pick(['random', 'random', 'extremes']),
  };
}

function randomConv(random: Random): ConvSpec {
  const window = randomWindow(random);
  const channels = window.image[2];
  const divisors = [...Array(channels).keys()].map((i) => i + 1).filter((d) => channels % d === 0);
  const groups = random.chance(0.3) ? random.pick(divisors) : 1;
  const out = groups > 1 ? groups * random.int(1, 3) : random.pick(CHANNELS);
  const [height, width] = windowOutput(window, window.image);
  const tail = random.pick(['none', 'none', 'pool', 'residual', 'int32']);
  const outZeroPoint = random.int(-128, 127);
  return {
    ...window,
    out,
    groups,
    batch: random.pick([1, 1, 2, 3]),
    zeroPoint: random.int(-128, 127),
    outZeroPoint,
    pool: tail === 'pool' && height > 1 && width > 1,
    residual: tail === 'residual',
    int32: tail === 'int32',
    weightZeroPoint: random.chance(0.25),
    clip: random.chance(0.3) ? [outZeroPoint, 127] : [-128, 127],
    x: random.pick(['random', 'random', 'random', 'extremes']),
    w: random.pick(['random', 'random', 'random', 'extremes']),
  };
}
