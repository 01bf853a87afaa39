import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import plainUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import simdUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import threadedUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import type { Graph, Tensor } from '../../src/graph/graph.ts';
import { sideOf, toFloatNhwc } from './contender.ts';
import type { LoadContender } from './contender.ts';

type Layer =
  | { kind: 'conv'; filter: tf.Tensor4D; bias: tf.Tensor1D; relu: boolean }
  | { kind: 'dense'; weights: tf.Tensor2D; bias: tf.Tensor1D; relu: boolean }
  | { kind: 'maxPool' }
  | { kind: 'globalAveragePool' };

/** VGG16's chain of layers as fused TensorFlow.js operations, from the graph with its batch norms folded. */
function buildLayers(graph: Graph): Layer[] {
  const constant = (name: string): Tensor => graph.constants.get(name)!;
  const layers: Layer[] = [];
  graph.nodes.forEach((node, index) => {
    const relu = graph.nodes[index + 1]?.op === 'Relu';
    switch (node.op) {
      case 'Conv': {
        const weights = constant(node.inputs[1]);
        const [o, i, h, w] = weights.shape as [number, number, number, number];
        const oihw = tf.tensor4d(weights.data as Float32Array, [o, i, h, w]);
        const bias = tf.tensor1d(constant(node.inputs[2]).data as Float32Array);
        layers.push({ kind: 'conv', filter: tf.transpose(oihw, [2, 3, 1, 0]), bias, relu });
        oihw.dispose();
        break;
      }
      case 'Gemm': {
        const weights = constant(node.inputs[1]);
        const stored = tf.tensor2d(weights.data as Float32Array, weights.shape as [number, number]);
        const bias = tf.tensor1d(constant(node.inputs[2]).data as Float32Array);
        const transposed = node.attributes.transB === 1;
        layers.push({
          kind: 'dense',
          weights: transposed ? tf.transpose(stored) : tf.clone(stored),
          bias,
          relu,
        });
        stored.dispose();
        break;
      }
      case 'MaxPool':
        layers.push({ kind: 'maxPool' });
        break;
      case 'GlobalAveragePool':
        layers.push({ kind: 'globalAveragePool' });
        break;
      case 'Relu':
      case 'Flatten':
        break;
      default:
        throw new Error(`the TensorFlow.js peer has no layer for ${node.op} "${node.name}"`);
    }
  });
  return layers;
}

function forward(layers: readonly Layer[], input: tf.Tensor4D): tf.Tensor {
  let x: tf.Tensor = input;
  for (const layer of layers) {
    switch (layer.kind) {
      case 'conv':
        x = tf.fused.conv2d({
          x: x as tf.Tensor4D,
          filter: layer.filter,
          strides: 1,
          pad: 'same',
          bias: layer.bias,
          ...(layer.relu && { activation: 'relu' as const }),
        });
        break;
      case 'maxPool':
        x = tf.maxPool(x as tf.Tensor4D, 2, 2, 'valid');
        break;
      case 'globalAveragePool':
        x = tf.mean(x, [1, 2]);
        break;
      case 'dense':
        x = tf.fused.matMul({
          a: x,
          b: layer.weights,
          bias: layer.bias,
          ...(layer.relu && { activation: 'relu' as const }),
        });
        break;
    }
  }
  return x;
}

export const load: LoadContender = async ({ device, threads }, { model, preprocessing }) => {
  setWasmPaths({
    'tfjs-backend-wasm.wasm': plainUrl,
    'tfjs-backend-wasm-simd.wasm': simdUrl,
    'tfjs-backend-wasm-threaded-simd.wasm': threadedUrl,
  });
  setThreadsCount(threads);
  if (!(await tf.setBackend(device))) throw new Error(`TensorFlow.js could not start its ${device} backend`);
  const layers = buildLayers(optimize(decodeModel(model)));
  const toFloat = toFloatNhwc(preprocessing);
  return {
    async run(input) {
      const side = sideOf(input);
      const output = tf.tidy(() =>
        forward(layers, tf.tensor4d(toFloat(input), [input.batch, side, side, 3])),
      );
      const logits = (await output.data()) as Float32Array;
      output.dispose();
      return logits;
    },
    dispose: () => tf.removeBackend(device),
  };
};
