/** 3×3 convolution by Winograd's minimal filtering on the WebAssembly backend (src/wasm/assembly/winograd.ts explains the arithmetic). */
import type { Conv2dOperation, ProgramTensor } from '../../program/program.ts';
import { weightMagnitudes } from '../../program/weights.ts';
import { call, number, parameterBlock, scratch, tensorAt, VariantBuilder } from '../wasm-call.ts';
import { type CostedVariant, estimateCost } from './wasm-cost.ts';
import { convolutionBlock, padCall, sideOf, packedWeights } from './wasm-block.ts';
import { packEpilogue } from './wasm-epilogue.ts';
import { transformed as transformedWeights } from './wasm-layouts.ts';
import { convolutionShape, PANEL } from './wasm-shape.ts';

/** F(size×size, 3×3). */
interface Filter {
  readonly size: 2 | 4;
  /** |acc| without the bias must stay below it for the result to come back from modulo 2³². */
  readonly limit: number;
  readonly scratchBytes: { readonly input: number; readonly output: number };
}

const FILTERS: readonly Filter[] = [
  {
    size: 4,
    limit: 2 ** 25,
    scratchBytes: { input: 36 * 16, output: 40 * 16 },
  },
  {
    size: 2,
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
  const [height, width, channels] = input.image;
  const plain = [...stride, ...dilation, groups].every((value) => value === 1) && !weights.zeroPoint;
  if (!plain || kernel[0] !== 3 || kernel[1] !== 3 || channels % 8 !== 0 || height * width < 2) return [];
  // Adding up magnitudes takes long: only where the largest weights there are would be too much.
  const largest = () => weightMagnitudes(weights).reduce((most, sum) => Math.max(most, sum), 0) * 128;
  return FILTERS.filter(({ limit }) => 128 * 128 * weights.k < limit || largest() < limit).map((filter) =>
    winogradVariant(operation, input, output, batch, filter),
  );
}

function winogradVariant(
  operation: Conv2dOperation,
  input: ProgramTensor,
  output: ProgramTensor,
  batch: number,
  { size, scratchBytes }: Filter,
): CostedVariant {
  const builder = new VariantBuilder();
  const direct = convolutionShape(operation, input);
  const tilesHigh = Math.ceil(direct.height / size);
  const tilesWide = Math.ceil(direct.width / size);
  // The frame ends where the last tiles do.
  const shape = { ...direct, frameHeight: tilesHigh * size + 2, frameWidth: tilesWide * size + 2 };
  const { channels, panels } = shape;
  const places = (size + 2) * (size + 2);
  const tiles = batch * tilesHigh * tilesWide;
  const tileBytes = places * (channels * 2 + panels * PANEL * 4);
  const chunk = Math.min(tiles, Math.max(4, Math.floor(CHUNK_BYTES / tileBytes) & ~3));
  const frame = builder.workspace(batch * shape.frameHeight * shape.frameWidth * channels * 2);
  const transformed = builder.workspace(places * chunk * channels * 2);
  const products = builder.workspace(places * panels * Math.ceil(chunk / 4) * 4 * PANEL * 4);
  const block = builder.constant(`winograd${size}-shape-${batch}`, () => {
    const fields = convolutionBlock(operation, output, shape, batch, 2);
    return parameterBlock('Winograd', {
      ...fields,
      segments: 1,
      segmentLength: channels,
      tilesHigh,
      tilesWide,
      channels,
    });
  });
  const layout = transformedWeights(panels, size);
  const weights = packedWeights(builder, operation, input, layout);
  const epilogue = builder.constant('epilogue-0-8', () => packEpilogue(operation, output, shape));
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
  const cost = estimateCost({
    products: places * Math.ceil(tiles / 4) * 4 * channels * panels * PANEL,
    weightBytes: layout.byteCount(operation.weights),
    transformed: places * tiles * (channels + panels * PANEL),
  });
  return { variant: builder.build(`winograd-${size}`, calls), cost };
}
