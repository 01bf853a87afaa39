/**
 * The integer program of VGG16 on CIFAR-10 with its max pools fused, weights all zero: for plans, and for
 * timing by shape.
 */
import type { Conv2dOperation, IntegerProgram, ProgramTensor } from '../../src/program/program.ts';
import { int8Weights } from '../../src/program/weights.ts';
import { createProgramBuilder, requantizeBy } from './program-builder.ts';

/** Output channels of each block's convolutions; a 2×2 max pool ends each block. */
const BLOCKS = [
  [64, 64],
  [128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [512, 512, 512],
] as const;

export function vgg16Shapes(): IntegerProgram {
  const builder = createProgramBuilder();
  let tensor: ProgramTensor = builder.input([32, 32, 3]);
  const conv = (out: number, size: 1 | 3, pool: boolean, last = false) => {
    const [height, width, channels] = tensor.image;
    const output = builder.tensor(
      pool ? [height / 2, width / 2, out] : [height, width, out],
      0,
      last ? 'accumulator' : 'int8',
    );
    const pad = (size - 1) / 2;
    builder.emit<Conv2dOperation>({
      kind: 'conv2d',
      name: `conv${output.id}`,
      inputs: [tensor.id],
      output: output.id,
      kernel: [size, size],
      stride: [1, 1],
      pads: [pad, pad, pad, pad],
      dilation: [1, 1],
      groups: 1,
      weights: int8Weights(
        { outChannels: out, taps: size * size, inChannels: channels },
        new Int8Array(out * size * size * channels).fill(127),
      ),
      bias: new Int32Array(out),
      requantize: last ? null : requantizeBy(out, () => 0.001, 0),
      pool,
      residual: null,
    });
    tensor = output;
  };
  for (const block of BLOCKS) block.forEach((out, i) => conv(out, 3, i === block.length - 1));
  conv(4096, 1, false);
  conv(4096, 1, false);
  conv(10, 1, false, true);
  return builder.build('vgg16');
}
