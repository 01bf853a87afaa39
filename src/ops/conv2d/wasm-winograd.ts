/** 3×3 convolution by Winograd's minimal filtering on the WebAssembly backend (src/wasm/assembly/winograd.ts explains the arithmetic). */
import type { Conv2dOperation, ProgramTensor } from '../../program/program.ts';
import { weightMagnitudes } from '../../program/weights.ts';
import { call, number, parameterBlock, scratch, tensorAt, VariantBuilder } from '../wasm-call.ts';
import { type CostedVariant, estimateCost } from './wasm-cost.ts';
import { convolutionBlock, padCall, sideOf } from './wasm-block.ts';
import { convolutionShape, PANEL, packEpilogue } from './wasm-pack.ts';

/** F(size×size, 3×3). */
interface Filter {
  readonly size: 2 | 4;
  /** G, its rows scaled to integers. */
  readonly g: readonly (readonly [number, number, number])[];
  /** |acc| without the bias must stay below it for the result to come back from modulo 2³². */
  readonly limit: number;
  readonly scratchBytes: { readonly input: number; readonly output: number };
}

const FILTERS: readonly Filter[] = [
  {
    size: 4,
    g: [
      [6, 0, 0],
      [-4, -4, -4],
      [-4, 4, -4],
      [1, 2, 4],
      [1, -2, 4],
      [0, 0, 8],
    ],
    limit: 2 ** 25,
    scratchBytes: { input: 36 * 16, output: 40 * 16 },
  },
  {
    size: 2,
    g: [
      [2, 0, 0],
      [1, 1, 1],
      [1, -1, 1],
      [0, 0, 2],
    ],
    limit: 2 ** 29,
    scratchBytes: { input: 16 * 16, output: 12 * 16 },
  },
];

/** Bytes of transformed input and products that one round of the three calls works on: they should stay in the caches. */
const CHUNK_BYTES = 1 << 20;

/** The Winograd variants that are exact for this operation. */
export function winograd(
  operation: Conv2dOperation,
  input: ProgramTensor,
  output: ProgramTensor,
  batch: number,
): CostedVariant[] {
  const { kernel, stride, dilation, groups, weights } = operation;
  const [height, width, channels] = input.shape;
  const plain = [...stride, ...dilation, groups].every((value) => value === 1) && !weights.zeroPoint;
  if (!plain || kernel[0] !== 3 || kernel[1] !== 3 || channels % 8 !== 0 || height * width < 2) return [];
  const largest = Math.max(...weightMagnitudes(weights)) * 128;
  return FILTERS.filter(({ limit }) => largest < limit).map((filter) =>
    winogradVariant(operation, input, output, batch, filter),
  );
}

function winogradVariant(
  operation: Conv2dOperation,
  input: ProgramTensor,
  output: ProgramTensor,
  batch: number,
  { size, g, scratchBytes }: Filter,
): CostedVariant {
  const builder = new VariantBuilder();
  const direct = convolutionShape(operation, input);
  const tilesHigh = Math.ceil(direct.height / size);
  const tilesWide = Math.ceil(direct.width / size);
  // The frame ends where the last tiles do.
  const shape = { ...direct, frameHeight: tilesHigh * size + 2, frameWidth: tilesWide * size + 2 };
  const { channels, panels } = shape;
  const places = g.length * g.length;
  const tiles = batch * tilesHigh * tilesWide;
  const tileBytes = places * (channels * 2 + panels * PANEL * 4);
  const chunk = Math.min(tiles, Math.max(4, Math.floor(CHUNK_BYTES / tileBytes) & ~3));
  const frame = builder.workspace(batch * shape.frameHeight * shape.frameWidth * channels * 2);
  const transformed = builder.workspace(places * chunk * channels * 2);
  const products = builder.workspace(places * panels * Math.ceil(chunk / 4) * 4 * PANEL * 4);
  const block = builder.constant(`winograd${size}-shape-${batch}`, () => {
    const fields = convolutionBlock(operation, output, shape, batch, 2);
    return parameterBlock({
      ...fields,
      segments: 1,
      segmentLength: channels,
      tilesHigh,
      tilesWide,
      channels,
    });
  });
  const weights = builder.constant(`winograd${size}-weights`, () =>
    transformWeights(operation, channels, panels, g),
  );
  const epilogue = builder.constant('epilogue-0', () => packEpilogue(operation, output, shape));
  const zero = builder.constant('zero', () => new Int32Array(1));
  const calls = [padCall(builder, operation, input, shape, frame, batch)];
  for (let first = 0; first < tiles; first += chunk) {
    const count = Math.min(chunk, tiles - first);
    calls.push(
      call(
        `winograd${size}Input`,
        [frame, transformed, block, number(first), number(count), scratch],
        (count * channels) / 8,
        scratchBytes.input,
      ),
      call(
        'winogradMultiply',
        [transformed, weights, products, zero, block, number(count), scratch],
        places * panels,
        16,
      ),
      call(
        `winograd${size}Output`,
        [
          products,
          epilogue,
          tensorAt(output.id),
          sideOf(operation),
          block,
          number(first),
          number(count),
          scratch,
        ],
        count * Math.ceil(shape.outChannels / 4),
        scratchBytes.output,
      ),
    );
  }
  const pairs = channels * panels * PANEL;
  const cost = estimateCost({
    products: places * Math.ceil(tiles / 4) * 4 * pairs,
    weightBytes: places * pairs * 2,
    transformed: places * tiles * (channels + panels * PANEL),
  });
  return { variant: builder.build(`winograd-${size}`, calls), cost };
}

/** `U = G g Gᵀ` of every pair of channels, as [place][panel][channels / 2][8 outputs][2]. */
function transformWeights(
  operation: Conv2dOperation,
  channels: number,
  panels: number,
  g: Filter['g'],
): Int16Array {
  const { bias } = operation;
  const weights = operation.weights.rows();
  const size = g.length;
  const rows = Int32Array.from(g.flat());
  const plane = panels * PANEL * channels;
  const packed = new Int16Array(size * size * plane);
  const half = new Int32Array(size * 3);
  // Neighbours in the packed weights one after the other: each place is far from the next, and 36 cache lines are enough.
  for (let panel = 0; panel < panels; panel++) {
    const last = Math.min((panel + 1) * PANEL, bias.length);
    for (let pair = 0; pair < channels; pair += 2) {
      for (let o = panel * PANEL; o < last; o++) {
        for (let c = pair; c < pair + 2; c++) {
          // The channels are a multiple of 8, so all of them are real.
          const from = o * 9 * channels + c;
          for (let j = 0; j < 3; j++) {
            const w0 = weights[from + j * channels];
            const w1 = weights[from + (3 + j) * channels];
            const w2 = weights[from + (6 + j) * channels];
            for (let i = 0; i < size; i++) {
              half[i * 3 + j] = rows[i * 3] * w0 + rows[i * 3 + 1] * w1 + rows[i * 3 + 2] * w2;
            }
          }
          let to = (panel * channels + pair) * PANEL + (o % PANEL) * 2 + (c & 1);
          for (let i = 0; i < size; i++) {
            const h0 = half[i * 3];
            const h1 = half[i * 3 + 1];
            const h2 = half[i * 3 + 2];
            for (let j = 0; j < size; j++, to += plane) {
              packed[to] = h0 * rows[j * 3] + h1 * rows[j * 3 + 1] + h2 * rows[j * 3 + 2];
            }
          }
        }
      }
    }
  }
  return packed;
}
