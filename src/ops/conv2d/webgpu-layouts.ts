/** How weights lie in storage buffers: what `pack` writes, the text beside it reads. */
import type { BlockedWeightsWgsl, MatrixWeightsWgsl } from '../../../shaders/conv2d-weights.ts';
import { paddedChannels } from '../../program/program.ts';
import type { WeightBits } from '../../program/weights.ts';
import { elementLayout, inFields, type WeightLayout } from './weight-layout.ts';

export interface GpuWeightLayout<Text = MatrixWeightsWgsl> extends WeightLayout {
  /** The text that loads weights. */
  readonly wgsl: Text;
}

const PACKED: GpuWeightLayout = {
  ...elementLayout('packed', 'int8', ({ outChannels, taps, inChannels }) => {
    const stored = paddedChannels(inChannels);
    const storedOut = paddedChannels(outChannels);
    return {
      length: taps * stored * storedOut,
      outChannel: (o) => o * 4,
      tap: (tap) => tap * stored * storedOut,
      lanes: 4,
      stride: 4 * storedOut,
    };
  }),
  wgsl: {
    declaration: '@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>, K_WORDS * OUT_WORDS>;',
    load: (k, word) => `weights[${k} * OUT_WORDS + ${word}]`,
  },
};

/** Fields at the top of the bytes of a word. */
const FIELDS = { 4: '0xf0f0f0f0u', 2: '0xc0c0c0c0u' } as const;

function packedFields(bits: 4 | 2): GpuWeightLayout {
  const perByte = 8 / bits;
  return {
    ...inFields(PACKED, bits, ({ outChannels }) => paddedChannels(outChannels) * 4),
    wgsl: {
      declaration: `@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>, (K_WORDS + ${perByte - 1}u) / ${perByte}u * OUT_WORDS>;`,
      load: (k, word) =>
        `((weights[${k} / ${perByte}u * OUT_WORDS + ${word}] << vec4<u32>(${8 - bits}u - ${k} % ${perByte}u * ${bits}u)) & vec4<u32>(${FIELDS[bits]}))`,
    },
  };
}

const PACKED_FIELDS = { 8: PACKED, 4: packedFields(4), 2: packedFields(2) } as const;

/** [taps · inWords][outWords][4] words of four input channels each. Rows of K are words of input channels. */
export function packed(bits: WeightBits): GpuWeightLayout {
  return PACKED_FIELDS[bits];
}

/** [taps · inChannels][paddedOut] int32, less their zero points. Rows of K are single input channels. */
export const UNPACKED: GpuWeightLayout = {
  ...elementLayout('unpacked', 'int32', ({ outChannels, k, inChannels }) => {
    const storedOut = paddedChannels(outChannels);
    return {
      length: k * storedOut,
      outChannel: (o) => o,
      tap: (tap) => tap * inChannels * storedOut,
      lanes: 1,
      stride: storedOut,
    };
  }),
  wgsl: {
    declaration: '@group(0) @binding(1) var<storage, read> weights: array<vec4<i32>, K * OUT_WORDS>;',
    load: (k, word) => `weights[${k} * OUT_WORDS + ${word}]`,
  },
};

/** [taps][outWords] words of four output channels, for depthwise kernels. */
export const DEPTHWISE: GpuWeightLayout = {
  ...elementLayout('depthwise', 'int8', ({ outChannels, taps }) => {
    const storedOut = paddedChannels(outChannels);
    return {
      length: taps * storedOut,
      outChannel: (o) => o,
      tap: (tap) => tap * storedOut,
      lanes: 1,
      stride: 0,
    };
  }),
  wgsl: {
    declaration: '@group(0) @binding(1) var<storage, read> weights: array<u32>;',
    load: (k, word) => `weights[${k} * outWords + ${word}]`,
  },
};

/**
 * [outWords / block][kernelH][inWords][kernelW][block][4] words of four input channels: the order in which a kernel reads them that takes `block`
 * words of output channels at a time and a row of taps at a step. Memory is then read from end to end.
 *
 * @param kernel as the shader sees it: a dense layer over an image may be a 1×1 one over more channels
 */
export function blocked(
  kernel: readonly [height: number, width: number],
  block: number,
  bits: WeightBits,
): GpuWeightLayout<BlockedWeightsWgsl> {
  const [height, width] = kernel;
  const rowLength = width * block * 4;
  const declaration = `@group(0) @binding(1) var<storage, read> weights: array<u32>;
// Words of a row of taps: WORDS words of output channels each, by four lanes.
const ROW_LENGTH = ${rowLength}u;`;
  const layout: GpuWeightLayout<BlockedWeightsWgsl> = {
    ...elementLayout(`blocked-${kernel.join('x')}-${block}`, 'int8', ({ outChannels, taps, inChannels }) => {
      const words = paddedChannels(inChannels) / 4;
      const isSeen = taps === height * width;
      // Rows of taps of a block of output channels. A 1×1 kernel seen instead of an image has one for each of the image's words.
      const rows = (taps * words) / width;
      const wordBytes = block * 16;
      return {
        length: paddedChannels(outChannels) * taps * words * 4,
        outChannel: (o) => {
          const word = o >> 2;
          return (Math.floor(word / block) * rows * rowLength + (word % block) * 4 + (o & 3)) * 4;
        },
        tap: (tap) =>
          isSeen
            ? (Math.floor(tap / width) * words * width + (tap % width)) * wordBytes
            : tap * words * wordBytes,
        lanes: 4,
        stride: (isSeen ? width : 1) * wordBytes,
      };
    }),
    wgsl: {
      declaration,
      begin: (name, row) => `let ${name} = (${row}) * ROW_LENGTH + lane;`,
      load: (name, index) => `weights[${name} + ${4 * index}u]`,
    },
  };
  if (bits === 8) return layout;
  const perByte = 8 / bits;
  return {
    ...inFields(layout, bits, () => rowLength * 4),
    wgsl: {
      declaration,
      // Software adapters shift lane by lane, and multiply vectors.
      begin: (name, row) => `let ${name}Row = ${row};
      let ${name}Factor = ${fieldFactor(bits, `${name}Row`)};
      let ${name} = ${name}Row / ${perByte}u * ROW_LENGTH + lane;`,
      load: (name, index) => `((weights[${name} + ${4 * index}u] * ${name}Factor) & ${FIELDS[bits]})`,
    },
  };
}

/** What brings a row's fields to the top of their bytes. */
function fieldFactor(bits: 4 | 2, row: string): string {
  if (bits === 4) return `16u - 15u * (${row} % 2u)`;
  return `(4u - 3u * (${row} % 2u)) * (16u - 15u * (${row} / 2u % 2u))`;
}
