/** Scales and zero points, as QuantizeLinear and DequantizeLinear nodes give them. */
import type { Graph, Node } from '../graph/graph.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import type { Int8Tensor } from './program.ts';

export interface QuantizationParameters {
  readonly scale: number;
  /** Of a uint8 tensor shifted by 128. */
  readonly zeroPoint: number;
  readonly dtype: 'int8' | 'uint8';
}

/** Those of an activation's node, or what is wrong with them. */
export function activationParameters(graph: Graph, node: Node): QuantizationParameters | string {
  const [, scaleName, zeroPointName = ''] = node.inputs;
  const scale = graph.constants.get(scaleName);
  const zeroPoint = graph.constants.get(zeroPointName);
  // The type is that of the integers, whether or not there is a zero point to say so.
  const integers = quantizeLinear.is(node) ? node.outputs[0] : node.inputs[0];
  const dtype = graph.values.get(integers)?.dtype;
  if (!scale || (zeroPointName !== '' && !zeroPoint)) {
    return 'its scale and zero point must be constants (dynamic quantization is not supported)';
  }
  const bad = Array.from(scale.data, Number).find((each) => !isScale(each));
  if (bad !== undefined) return scaleProblem(bad);
  if (scale.data.length !== 1) return 'an activation must have one scale, not one a channel';
  if (dtype !== 'int8' && dtype !== 'uint8') {
    return `quantizes to ${dtype ?? 'an unknown type'}; only int8 and uint8 are supported`;
  }
  const value = Number(scale.data[0]);
  const offset = dtype === 'uint8' ? 128 : 0;
  const zero = Number(zeroPoint?.data[0] ?? 0) - offset;
  return { scale: Math.fround(value), zeroPoint: zero, dtype };
}

/** Whether a constant scale of a node is none: no host stage would make better what it quantizes. */
export function hasBadScale(graph: Graph, { inputs: [, scale = ''] }: Node): boolean {
  const { data = [] } = graph.constants.get(scale) ?? {};
  return !Array.from(data, Number).every(isScale);
}

/** The same for nodes that quantize alike. */
export function parametersKey(graph: Graph, node: Node): string {
  const [, scaleName, zeroPointName = ''] = node.inputs;
  const scale = graph.constants.get(scaleName);
  const zeroPoint = graph.constants.get(zeroPointName);
  if (scale?.data.length !== 1 || (zeroPointName !== '' && zeroPoint?.data.length !== 1)) return node.name;
  const offset = graph.values.get(node.outputs[0])?.dtype === 'uint8' ? 128 : 0;
  return `${Math.fround(Number(scale.data[0]))}, ${Number(zeroPoint?.data[0] ?? 0) - offset}`;
}

export function sameParameters(
  a: Pick<Int8Tensor, 'scale' | 'zeroPoint'>,
  b: Pick<QuantizationParameters, 'scale' | 'zeroPoint'>,
): boolean {
  return a.scale === b.scale && a.zeroPoint === b.zeroPoint;
}

/** The largest finite float32. */
export const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/** Whether every integer of 8 bits is a float32 at this scale. */
export function isScale(scale: number): boolean {
  return scale > 0 && scale * 255 <= LARGEST_FLOAT32;
}

export function scaleProblem(scale: number): string {
  return `its scale must be positive, and 255 times it a float32, but is ${scale}: check how the model was quantized`;
}
