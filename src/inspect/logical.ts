/** Tensors of a run as the network means them: row-major in the logical shape, whatever the layout that kernels chose. */
import { isHostTensor, type ProgramTensor, type TensorBuffer } from '../program/program.ts';

/**
 * @param data as `Model.values` gives it: [batch, height, width, channels] of the stored image, without padding
 * @returns the same values, row-major in `tensor.shape`
 */
export function logicalOrder(tensor: ProgramTensor, data: TensorBuffer, batch: number): TensorBuffer {
  if (isHostTensor(tensor)) return data;
  const [height, width, channels] = tensor.image;
  const [rowStride, columnStride, channelStride] = tensor.strides;
  const perImage = height * width * channels;
  const result = data instanceof Int8Array ? new Int8Array(data.length) : new Int32Array(data.length);
  for (let n = 0, i = 0; n < batch; n++) {
    for (let h = 0; h < height; h++) {
      for (let w = 0; w < width; w++) {
        const first = n * perImage + h * rowStride + w * columnStride;
        for (let c = 0; c < channels; c++, i++) result[first + c * channelStride] = data[i];
      }
    }
  }
  return result;
}
