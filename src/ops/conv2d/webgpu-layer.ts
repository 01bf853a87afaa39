/** A convolution as its WebGPU kernels see it: shape, bindings, weights, and what a variant is expected to cost. */
import { type Conv2dShape, outputSize } from '../../../shaders/conv2d-shape.wgsl.ts';
import type { Conv2dOperation, ProgramTensor, TensorId } from '../../program/program.ts';
import { channelWords } from '../gpu-dispatch.ts';
import type { GpuBinding, GpuCapabilities, GpuDispatch, GpuVariant } from '../gpu-kernel.ts';
import { windowOutput } from '../window.ts';
import { packEpilogue } from './webgpu-epilogue.ts';
import type { GpuWeightLayout } from './webgpu-layouts.ts';

/** A layer as its kernels see it. */
export interface Layer {
  readonly operation: Conv2dOperation;
  readonly input: ProgramTensor;
  readonly shape: Conv2dShape;
  readonly capabilities: GpuCapabilities;
}

export function describeLayer(
  operation: Conv2dOperation,
  tensor: (id: TensorId) => ProgramTensor,
  batch: number,
  capabilities: GpuCapabilities,
): Layer {
  const input = tensor(operation.inputs[0]);
  const [convHeight, convWidth] = windowOutput(operation, input.image);
  const outChannels = operation.bias.length;
  const shape: Conv2dShape = {
    batch,
    height: input.image[0],
    width: input.image[1],
    inWords: channelWords(input.image[2]),
    convHeight,
    convWidth,
    outWords: channelWords(outChannels),
    outChannels,
    groups: operation.groups,
    groupInChannels: input.image[2] / operation.groups,
    kernel: operation.kernel,
    stride: operation.stride,
    pad: [operation.pads[0], operation.pads[1]],
    dilation: operation.dilation,
    pool: operation.pool,
    residual: operation.residual !== null,
    int32: operation.requantize === null,
    weightZeroPoint: operation.weights.zeroPoint !== undefined,
  };
  return { operation, input, shape, capabilities };
}

/** What the kernels of this operator have in common. */
export interface Operands<Text> {
  readonly bindings: readonly GpuBinding[];
  readonly constants: GpuVariant['constants'];
  /** How the kernel's text reads the weights. */
  readonly weights: Text;
}

export function operands<Text>({ operation, input }: Layer, layout: GpuWeightLayout<Text>): Operands<Text> {
  const bindings: GpuBinding[] = [
    { kind: 'tensor', tensor: operation.inputs[0], access: 'read' },
    { kind: 'constant', index: 0 },
    { kind: 'constant', index: 1 },
    { kind: 'tensor', tensor: operation.output, access: 'write' },
  ];
  if (operation.residual) bindings.push({ kind: 'tensor', tensor: operation.inputs[1], access: 'read' });
  const owner = `${operation.name}#${operation.output}`;
  const { weights } = operation;
  const zeroPoints = layout.centred ? null : (weights.zeroPoint ?? null);
  return {
    bindings,
    weights: layout.wgsl,
    constants: [
      {
        key: `weights-${layout.name} ${operation.kernel.join('x')}/${operation.groups}`,
        of: weights,
        data: () => new Uint32Array(layout.pack(weights).buffer),
      },
      {
        key: `${owner}/epilogue${zeroPoints ? '-with-zero-points' : ''}-${layout.bits}`,
        data: () => packEpilogue(operation, layout.bits, zeroPoints, input),
      },
    ],
  };
}

/** Of the names of variants that read weights of fewer than 8 bits. */
export function bitsSuffix({ bits }: GpuWeightLayout<unknown>): string {
  return bits === 8 ? '' : `-w${bits}`;
}

export function outputPixels(shape: Conv2dShape): number {
  const [height, width] = outputSize(shape);
  return shape.batch * height * width;
}

/**
 * A variant, and what it is expected to cost beside the others of the same layer: on software adapters instructions, on GPUs words that a
 * multiply-add waits for, idle invocations included. The default is chosen by it; the tuner measures.
 */
export interface Candidate {
  readonly variant: GpuVariant;
  readonly cost: number;
}

/**
 * Instructions that SwiftShader makes for four lanes, fitted to the times of the quad kernel's tiles (a load is a branch a lane; a carried
 * accumulator a masked store; an addition of Winograd's transforms reads and writes memory).
 */
export const SOFTWARE_COST = {
  load: 75,
  unpack: 24,
  swap: 1.5,
  multiplyAdd: 3.6,
  add: 4.7,
  carry: 11,
  dot: 45,
} as const;

export function dispatchOf(
  layer: Layer,
  code: string,
  bindings: readonly GpuBinding[],
  workgroups: GpuDispatch['workgroups'],
): readonly GpuDispatch[] {
  return [{ label: layer.operation.name, code, bindings, workgroups }];
}

/**
 * The same layer as a matrix product over one long row of pixels, where windows neither overlap nor leave the image: 1×1 kernels, and
 * kernels that are the whole image. The data stays where it is.
 */
export function flatten(shape: Conv2dShape): Conv2dShape {
  const { batch, height, width, inWords, kernel, stride, pad, convHeight, convWidth } = shape;
  if (shape.pool || shape.groups > 1 || shape.weightZeroPoint || pad[0] !== 0 || pad[1] !== 0) return shape;
  const row = { ...shape, batch: 1, height: 1, convHeight: 1, kernel: [1, 1], stride: [1, 1] } as const;
  if (kernel[0] === 1 && kernel[1] === 1 && stride[0] === 1 && stride[1] === 1) {
    // Padding on the right or at the bottom makes the output larger than the input.
    if (convHeight !== height || convWidth !== width) return shape;
    return { ...row, width: batch * height * width, convWidth: batch * height * width };
  }
  if (kernel[0] !== height || kernel[1] !== width || convHeight !== 1 || convWidth !== 1) return shape;
  const words = height * width * inWords;
  return { ...row, width: batch, convWidth: batch, inWords: words, groupInChannels: words * 4 };
}
