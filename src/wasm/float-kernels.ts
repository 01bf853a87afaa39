/** Float kernels of host stages in WebAssembly: the bytes of the plain loops, many times as fast. */
import { simd } from 'wasm-feature-detect';
import {
  type FloatConvolution,
  type FloatKernels,
  type FloatProduct,
  plainFloatKernels,
} from '../program/host.ts';
import { compileBase64 } from './engine.ts';

const PAGE = 65536;
/** Columns that a kernel computes side by side. */
const COLUMNS = 8;

let compiled: Promise<WebAssembly.Module> | undefined;

/** Kernels with a memory of their own; undefined where the engine has no SIMD or cannot load them: plain loops then do. */
export async function loadFloatKernels(): Promise<FloatKernels | undefined> {
  if (!(await simd())) return undefined;
  compiled ??= import('./build/float.ts').then(({ default: base64 }) => compileBase64(base64));
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: PAGE });
    const { exports } = await WebAssembly.instantiate(await compiled, { env: { memory } });
    return new WasmFloatKernels(memory, exports as unknown as Exports);
  } catch {
    compiled = undefined;
    return undefined;
  }
}

type Kernel = (...args: number[]) => void;

interface Exports {
  readonly multiply: Kernel;
  readonly convolve: Kernel;
}

class WasmFloatKernels implements FloatKernels {
  readonly #memory: WebAssembly.Memory;
  readonly #exports: Exports;

  constructor(memory: WebAssembly.Memory, exports: Exports) {
    this.#memory = memory;
    this.#exports = exports;
  }

  multiply(call: FloatProduct): void {
    const { a, b, bStrides, y, m, n, k } = call;
    const memory = this.#place([m * k, b.length, m * n, k * COLUMNS]);
    if (!memory) {
      plainFloatKernels.multiply(call);
      return;
    }
    const [aPlace, bPlace, yPlace, panel] = memory;
    aPlace.set(a.subarray(0, m * k));
    bPlace.set(b);
    this.#exports.multiply(
      ...[aPlace.byteOffset, bPlace.byteOffset, ...bStrides, yPlace.byteOffset],
      ...[m, n, k, panel.byteOffset],
    );
    y.set(yPlace);
  }

  convolve(call: FloatConvolution): void {
    const { groups, inChannels, weights, bias, kernel, stride, dilation, y, outputSize } = call;
    const outChannels = call.outChannels / groups;
    const pixels = outputSize[0] * outputSize[1];
    const k = inChannels * kernel[0] * kernel[1];
    // As much of the padding as windows reach.
    const [frameHeight, frameWidth] = ([0, 1] as const).map((axis) =>
      Math.max(
        call.size[axis] + call.pads[axis],
        (outputSize[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1,
      ),
    );
    const memory = this.#place([
      ...[inChannels * frameHeight * frameWidth, outChannels * k, outChannels],
      ...[outChannels * pixels, k * COLUMNS],
    ]);
    if (!memory) {
      plainFloatKernels.convolve(call);
      return;
    }
    const [frame, weightPlace, biasPlace, yPlace, panel] = memory;
    for (let group = 0; group < groups; group++) {
      this.#frame(call, group * inChannels, frame, frameHeight, frameWidth);
      const first = group * outChannels;
      weightPlace.set(weights.subarray(first * k, (first + outChannels) * k));
      biasPlace.set(bias.subarray(first, first + outChannels));
      this.#exports.convolve(
        ...[frame, weightPlace, biasPlace, yPlace, panel].map(({ byteOffset }) => byteOffset),
        ...[inChannels, frameHeight, frameWidth, outChannels, ...outputSize],
        ...[...kernel, ...stride, ...dilation],
      );
      y.set(yPlace, first * pixels);
    }
  }

  /** A group's input channels, padded. */
  #frame(
    { x, size: [height, width], pads, inChannels }: FloatConvolution,
    first: number,
    frame: Float32Array,
    frameHeight: number,
    frameWidth: number,
  ): void {
    const from = first * height * width;
    if (frameHeight === height && frameWidth === width) {
      frame.set(x.subarray(from, from + inChannels * height * width));
      return;
    }
    frame.fill(0);
    for (let c = 0; c < inChannels; c++) {
      for (let row = 0; row < height; row++) {
        const start = from + (c * height + row) * width;
        const to = (c * frameHeight + row + pads[0]) * frameWidth + pads[1];
        frame.set(x.subarray(start, start + width), to);
      }
    }
  }

  /** Arrays of these lengths, one after the other; undefined where there is no memory for them. */
  #place(lengths: readonly number[]): Float32Array[] | undefined {
    let bytes = 0;
    const places = lengths.map((length) => {
      const at = bytes;
      bytes = Math.ceil((bytes + length * 4) / 16) * 16;
      return [at, length] as const;
    });
    const missing = Math.ceil((bytes - this.#memory.buffer.byteLength) / PAGE);
    try {
      if (missing > 0) this.#memory.grow(missing);
    } catch {
      return undefined;
    }
    return places.map(([at, length]) => new Float32Array(this.#memory.buffer, at, length));
  }
}
