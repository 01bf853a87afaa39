import type { Contender } from './contender.ts';

const modelNames = { float: 'float', int8: 'int8 QDQ' } as const;

function plural(threads: number): string {
  return `${threads} thread${threads === 1 ? '' : 's'}`;
}

function onnxruntime(device: 'webgpu' | 'wasm', model: 'float' | 'int8', threads: number): Contender {
  const onGpu = device === 'webgpu';
  return {
    id: `ort-${device}-${model}${onGpu ? '' : `-${threads}t`}`,
    label: `onnxruntime-web ${onGpu ? 'WebGPU' : `WASM, ${plural(threads)}`}, ${modelNames[model]}`,
    library: 'onnxruntime-web',
    device,
    model,
    threads,
    settings: `all graph optimizations (batch norm folded), ${onGpu ? 'NHWC preferred, output in a GPU buffer' : `SIMD, ${plural(threads)}`}`,
  };
}

function tensorflow(device: 'webgpu' | 'wasm', threads: number): Contender {
  const onGpu = device === 'webgpu';
  return {
    id: `tfjs-${device}${onGpu ? '' : `-${threads}t`}`,
    label: `TensorFlow.js ${onGpu ? 'WebGPU' : `WASM, ${plural(threads)}`}, float`,
    library: 'tensorflow.js',
    device,
    model: 'float',
    threads,
    settings: `batch norm folded, convolution + bias + ReLU fused, NHWC${onGpu ? '' : `, SIMD, ${plural(threads)}`}`,
  };
}

function octet(device: 'webgpu' | 'wasm' | 'reference', threads: number): Contender {
  const suffix = device === 'wasm' ? `-${threads}t` : '';
  const name = { webgpu: 'WebGPU', wasm: `WASM, ${plural(threads)}`, reference: 'reference' }[device];
  return {
    id: `octet-${device}${suffix}`,
    label: `Octet ${name}, int8`,
    library: 'octet',
    device,
    model: 'int8',
    threads,
    settings: device === 'wasm' ? `SIMD, ${plural(threads)}` : 'defaults by adapter class, no tuning',
    // Loops that are written to be read.
    ...(device === 'reference' && {
      largestBatch: { batch: 8, reason: 'slow by design, not measured beyond batch 8' },
    }),
  };
}

function litert(device: 'webgpu' | 'wasm', model: 'float' | 'int8', threads: number): Contender {
  const onGpu = device === 'webgpu';
  return {
    id: `litert-${device}-${model}${onGpu ? '' : `-${threads}t`}`,
    label: `LiteRT.js ${onGpu ? 'WebGPU' : `WASM, ${plural(threads)}`}, ${model}`,
    library: 'litert.js',
    device,
    model,
    threads,
    settings: `${onGpu ? 'fp32' : `XNNPACK, SIMD, ${plural(threads)}`}, a call a picture: its file is of batch 1`,
  };
}

function native(model: 'float' | 'int8', threads: number): Contender {
  return {
    id: `native-${model}-${threads}t`,
    label: `onnxruntime-node (native), ${plural(threads)}, ${modelNames[model]}`,
    library: 'onnxruntime-node',
    device: 'native',
    model,
    threads,
    settings: `all graph optimizations, ${plural(threads)}`,
  };
}

/** Engines that a page can fetch as they are: those of the demo's benchmark. `cores` is the number of threads that "all threads" means. */
export function contenders(cores: number): Contender[] {
  const threadCounts = [...new Set([1, cores])];
  return [
    octet('webgpu', 1),
    onnxruntime('webgpu', 'float', 1),
    onnxruntime('webgpu', 'int8', 1),
    tensorflow('webgpu', 1),
    ...threadCounts.map((threads) => octet('wasm', threads)),
    ...threadCounts.flatMap((threads) => [
      onnxruntime('wasm', 'float', threads),
      onnxruntime('wasm', 'int8', threads),
    ]),
    tensorflow('wasm', cores),
    octet('reference', 1),
  ];
}

/** All engines that `npm run bench` measures: also LiteRT.js, whose files want a converter, and native code. */
export function allContenders(cores: number): Contender[] {
  const threadCounts = [...new Set([1, cores])];
  return [
    ...contenders(cores),
    litert('webgpu', 'float', 1),
    ...threadCounts.flatMap((threads) => [litert('wasm', 'int8', threads), litert('wasm', 'float', threads)]),
    ...threadCounts.flatMap((threads) => [native('int8', threads), native('float', threads)]),
  ];
}

/** Engines that run in Node without a GPU. */
export function nodeContenders(cores: number): Contender[] {
  return allContenders(cores).filter(
    ({ library, device }) =>
      device === 'native' || (device === 'wasm' && (library === 'octet' || library === 'onnxruntime-web')),
  );
}
