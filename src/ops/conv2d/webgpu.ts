/** Convolution on WebGPU: which kernels take a layer, the one that is expected to be the fastest first. */
import type { Conv2dOperation } from '../../program/program.ts';
import type { GpuKernel } from '../gpu-kernel.ts';
import { depthwise, direct, grouped, splitK, tiled } from './webgpu-hardware.ts';
import { storedBits } from './stored-bits.ts';
import { describeLayer } from './webgpu-layer.ts';
import { depthwisePatches, matvec, quads } from './webgpu-software.ts';

export const webgpuKernel: GpuKernel<Conv2dOperation> = {
  variants(operation, tensor, batch, capabilities) {
    const layer = describeLayer(operation, tensor, batch, capabilities);
    const { shape } = layer;
    if (shape.groups > 1) {
      if (shape.groupInChannels === 1 && shape.outChannels === shape.groups) {
        return [...depthwisePatches(layer), ...depthwise(layer)];
      }
      const aligned = shape.groupInChannels % 4 === 0 && (shape.outChannels / shape.groups) % 4 === 0;
      if (!aligned) return grouped(layer);
    }
    const candidates = [
      ...quads(layer),
      ...matvec(layer),
      ...tiled(layer),
      ...splitK(layer),
      ...direct(layer),
    ];
    return candidates.sort((a, b) => a.cost - b.cost).map(({ variant }) => variant);
  },

  tuningKey(operation, tensor, batch) {
    const { kernel, stride, dilation, groups, pool, residual, requantize, weights } = operation;
    const [height, width, channels] = tensor(operation.inputs[0]).image;
    const parts = [
      `conv2d ${kernel.join('x')}s${stride.join('x')}p${operation.pads.join(',')}`,
      dilation.some((d) => d > 1) && `d${dilation.join('x')}`,
      `${batch}x${height}x${width}x${channels}→${operation.bias.length}`,
      groups > 1 && `g${groups}`,
      pool && 'pool',
      residual && 'residual',
      !requantize && 'int32',
      weights.zeroPoint && 'zw',
      storedBits(operation) < 8 && `w${storedBits(operation)}`,
    ];
    return parts.filter(Boolean).join(' ');
  },
};
