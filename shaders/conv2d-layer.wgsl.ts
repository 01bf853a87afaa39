import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Conv2dShape, outputSize } from './conv2d-shape.wgsl.ts';
import type { Grid } from './grid.wgsl.ts';

/** What differs between layers that share one pipeline, beside what `Conv2dShape` says of them. */
export interface Conv2dLayer {
  readonly shape: Conv2dShape;
  readonly grid: Grid;
  /** Patches of pixels of an image; kernels without patches leave them out. */
  readonly patchRows?: number;
  readonly patchColumns?: number;
  /** Steps of the loop over K, and how many may follow one another before the sums are moved into int32; kernels without the loop leave them out. */
  readonly steps?: number;
  readonly flushSteps?: number;
}

/** Members of the `Layer` struct, in order, and what the host puts there. */
const FIELDS: Readonly<Record<string, (layer: Conv2dLayer) => number>> = {
  batch: ({ shape }) => shape.batch,
  height: ({ shape }) => shape.height,
  width: ({ shape }) => shape.width,
  inWords: ({ shape }) => shape.inWords,
  outHeight: ({ shape }) => outputSize(shape)[0],
  outWidth: ({ shape }) => outputSize(shape)[1],
  outWords: ({ shape }) => shape.outWords,
  outChannels: ({ shape }) => shape.outChannels,
  groupInWords: ({ shape }) => Math.ceil(shape.groupInChannels / 4),
  groupOutWords: ({ shape }) => shape.outWords / shape.groups,
  padTop: ({ shape }) => shape.pad[0],
  padLeft: ({ shape }) => shape.pad[1],
  /** 1 where a 2×2 max pool of the accumulators is fused, else 0. */
  pool: ({ shape }) => Number(shape.pool),
  patchRows: ({ patchRows = 0 }) => patchRows,
  patchColumns: ({ patchColumns = 0 }) => patchColumns,
  steps: ({ steps = 0 }) => steps,
  flushSteps: ({ flushSteps = 0 }) => flushSteps,
  invocations: ({ grid }) => grid.invocations,
  gridColumns: ({ grid }) => grid.columns,
};

/**
 * The layer's sizes as data instead of constants. Software adapters compile one kernel at a time and take some tenths of a second for each,
 * so kernels for them are made once for all layers of a kind; on a GPU, where constants fold into addresses, they stay constants. With it comes
 * what such kernels have in common: their place in the grid, unpacking without shifts, and integers without conversion.
 */
export const conv2dLayerWgsl = (binding: number) => wgsl`
struct Layer {
${Object.keys(FIELDS)
  .map((name) => `  ${name}: u32,`)
  .join('\n')}
}
@group(0) @binding(${binding}) var<storage, read> layer: Layer;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * layer.gridColumns + workgroup.x) * WORKGROUP_SIZE + local;
}

// Each byte at the top of a word, where its sign is: the value times 2²⁴. Integer shifts, which unpack4xI8 is made of, are slow on the
// adapters that these kernels are for, and scaling back can wait.
fn unpackScaled(word: u32) -> vec4<f32> {
  return vec4<f32>(
    f32(bitcast<i32>(word * 0x1000000u)),
    f32(bitcast<i32>((word * 0x10000u) & 0xff000000u)),
    f32(bitcast<i32>((word * 0x100u) & 0xff000000u)),
    f32(bitcast<i32>(word & 0xff000000u)),
  );
}

// An integer below 2²² becomes the low bits of a float's mantissa where 1.5 · 2²³ is added. A conversion would also look after numbers that are too
// large and those that are none, in some 150 instructions.
const MAGIC = 0x1.8p23f;

fn integersOf(v: vec4<f32>) -> vec4<i32> {
  return bitcast<vec4<i32>>(v + MAGIC) - bitcast<i32>(MAGIC);
}

// The same up to 2²⁴, in two parts.
fn largeIntegersOf(v: vec4<f32>) -> vec4<i32> {
  let high = integersOf(v * 0x1p-12);
  return high * 4096 + integersOf(v - vec4<f32>(high) * 4096.0);
}
`;

/** The `Layer` struct of `conv2dLayerWgsl`. */
export function packLayer(layer: Conv2dLayer): Uint32Array {
  return Uint32Array.from(Object.values(FIELDS), (valueOf) => valueOf(layer));
}
