/** What LSTM, GRU and RNN share: directions, steps, gates and activations (https://onnx.ai/onnx/operators/onnx__LSTM.html). */
import { tanh } from '../../numerics/elementary.ts';
import { eluOf, logistic, softplusOf } from '../activations.ts';
import type { Node } from '../graph.ts';
import { sizeOf } from './dense.ts';
import {
  defineOperator,
  type Evaluation,
  isFloats,
  type OnnxOperator,
  type Shape,
  type Value,
} from './operator.ts';
import { float, floats, int, required, since, string } from './signature.ts';
import type { AttributeSpec } from './signature.ts';

type Activation = (x: number) => number;

/** One step of one direction, for one element of the batch. */
export interface Step {
  /** Products of a gate's weights with the input and with the hidden state, biases included: [gates · hidden]. */
  readonly input: Float64Array;
  readonly hidden: Float64Array;
  /** Recurrent weights of the direction, [gates · hidden, hidden], and recurrent biases, for gates that change the state first. */
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly peepholes: Float32Array | undefined;
  readonly activations: readonly Activation[];
  readonly clip: (x: number) => number;
  readonly node: Node;
}

interface Recurrence {
  readonly op: string;
  readonly gates: number;
  /** Whether there is a cell state beside the hidden one: inputs 6 and 7, output 2. */
  readonly hasCell?: true;
  /** Default functions, in lower case: the attribute's names are read in any. */
  readonly activations: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeSpec>>;
  /** Changes `hidden` (and `cell`) to what they are after the step. */
  step(step: Step, hidden: Float64Array, cell: Float64Array): void;
}

export function recurrentOperator(recurrence: Recurrence): OnnxOperator {
  const { op, hasCell, attributes, gates } = recurrence;
  return defineOperator<string>({
    op,
    inputs: [3, hasCell ? 8 : 6],
    outputs: hasCell ? 3 : 2,
    attributes: {
      activation_alpha: floats(),
      activation_beta: floats(),
      activations: { kind: 'strings' },
      clip: float(),
      direction: string('forward'),
      hidden_size: required(int()),
      layout: since(14, int(0)),
      ...attributes,
    },
    role: 'none',
    /** A name for the first output, which may be left out. */
    normalize: (node, context) => [
      { ...node, outputs: node.outputs.with(0, node.outputs[0] || context.value(`${node.name}.all`)) },
    ],
    learned: [1, 2],
    // All steps of the first output, before the batch or behind it, each with the products of the input and of the state before.
    macs: ([first = 1, second], [directions = 0, rows = 0, inputs = 0]) =>
      Number(typeof first === 'number' ? first : second) * directions * rows * (inputs + rows / gates),
    shape({ shape }, [w], node) {
      const hidden = this.number(node, 'hidden_size');
      const directions = node.attributes.direction === 'bidirectional' ? 2 : 1;
      if (shape.length !== 3 || w?.shape.join() !== [directions, gates * hidden, shape[2]].join())
        return `weights of shape [${w?.shape ?? []}] do not fit ${hidden} units and an input of [${shape}]`;
      const isBatchFirst = this.number(node, 'layout') === 1;
      const [time, batch] = isBatchFirst ? [shape[1], shape[0]] : [shape[0], shape[1]];
      const state: Shape = isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
      const all: Shape = isBatchFirst ? [batch, time, directions, hidden] : [time, directions, batch, hidden];
      return { outputs: [all, state, ...(hasCell ? [state] : [])] };
    },
    evaluate: (call) => evaluateRecurrence(recurrence, call),
  });
}

/** Sums and states in float64, in order of inputs; the states are rounded to float32 after each step. */
function evaluateRecurrence(
  recurrence: Recurrence,
  { node, inputs, output = 0, shape }: Evaluation,
): Value | undefined {
  const [x, w, r, b, lengths, initialHidden, initialCell, peepholes] = inputs;
  if (!isFloats(x) || !isFloats(w) || !isFloats(r)) return undefined;
  for (const each of [b, initialHidden, initialCell, peepholes])
    if (each && !isFloats(each)) return undefined;
  const { gates } = recurrence;
  const [directions, , size] = w.shape;
  const units = r.shape[2];
  const isBatchFirst = node.attributes.layout === 1;
  const [time, batch] = isBatchFirst ? [x.shape[1], x.shape[0]] : [x.shape[0], x.shape[1]];
  const activations = activationsOf(node, recurrence.activations, directions);
  const clip = typeof node.attributes.clip === 'number' ? node.attributes.clip : Infinity;
  if (!activations) return undefined;
  const data = new Float32Array(sizeOf(shape));
  const stateAt = (direction: number, n: number) =>
    (isBatchFirst ? n * directions + direction : direction * batch + n) * units;
  for (let direction = 0; direction < directions; direction++) {
    const isReverse = node.attributes.direction === 'reverse' || direction === 1;
    const slice = (value: Value | undefined, length: number) =>
      (value?.data as Float32Array | undefined)?.subarray(direction * length, (direction + 1) * length);
    const weights = slice(w, gates * units * size)!;
    const recurrent = slice(r, gates * units * units)!;
    const biases = slice(b, 2 * gates * units) ?? new Float32Array(2 * gates * units);
    const step = {
      weights: recurrent,
      bias: biases.subarray(gates * units),
      peepholes: slice(peepholes, 3 * units),
      activations: activations.slice(direction * recurrence.activations.length),
      clip: (value: number) => Math.min(clip, Math.max(-clip, value)),
      node,
    };
    for (let n = 0; n < batch; n++) {
      const state = stateAt(direction, n);
      const initial = (value: Value | undefined) =>
        Float64Array.from({ length: units }, (_, i) => Number(value?.data[state + i] ?? 0));
      const [hidden, cell] = [initial(initialHidden), initial(initialCell)];
      const length = Math.min(time, Number(lengths?.data[n] ?? time));
      for (let t = 0; t < length; t++) {
        const at = isReverse ? length - 1 - t : t;
        const row = (isBatchFirst ? n * time + at : at * batch + n) * size;
        const input = products(weights, x.data.subarray(row, row + size), biases);
        recurrence.step({ ...step, input, hidden: products(recurrent, hidden, step.bias) }, hidden, cell);
        for (let i = 0; i < units; i++) {
          hidden[i] = Math.fround(hidden[i]);
          cell[i] = Math.fround(cell[i]);
        }
        if (output !== 0) continue;
        const to = isBatchFirst
          ? ((n * time + at) * directions + direction) * units
          : ((at * directions + direction) * batch + n) * units;
        data.set(hidden, to);
      }
      if (output > 0) data.set(output === 1 ? hidden : cell, state);
    }
  }
  return { dtype: 'float32', shape, data };
}

/** Rows of `weights` times `x`, plus the bias. */
export function products(
  weights: Float32Array,
  x: Float32Array | Float64Array,
  bias: Float32Array,
): Float64Array {
  const size = x.length;
  return Float64Array.from({ length: size === 0 ? 0 : weights.length / size }, (_, row) => {
    let sum = bias[row];
    for (let i = 0; i < size; i++) sum += weights[row * size + i] * x[i];
    return sum;
  });
}

function activationsOf(
  node: Node,
  defaults: readonly string[],
  directions: number,
): Activation[] | undefined {
  const { activations, activation_alpha: alphas, activation_beta: betas } = node.attributes;
  const repeated = directions === 2 ? [...defaults, ...defaults] : defaults;
  const names = Array.isArray(activations) && activations.length > 0 ? (activations as string[]) : repeated;
  if (names.length !== repeated.length) return undefined;
  // Parameters are listed for those functions that have some, in order.
  const [alpha, beta] = [alphas, betas].map((list) => (Array.isArray(list) ? [...(list as number[])] : []));
  const found = names.map((name) => functions.get(name.toLowerCase())?.(alpha, beta));
  return found.every((each) => each !== undefined) ? found : undefined;
}

type Parameters = number[];

const functions: ReadonlyMap<string, (alpha: Parameters, beta: Parameters) => Activation> = new Map<
  string,
  (alpha: Parameters, beta: Parameters) => Activation
>([
  ['relu', () => (x) => Math.max(0, x)],
  ['tanh', () => tanh],
  ['sigmoid', () => logistic],
  ['softsign', () => (x) => x / (1 + Math.abs(x))],
  ['softplus', () => softplusOf],
  ['affine', (alpha, beta) => withParameters(alpha, beta, 1, 0, (x, a, b) => a * x + b)],
  ['leakyrelu', (alpha) => withParameters(alpha, [], 0.01, 0, (x, a) => (x < 0 ? a * x : x))],
  ['thresholdedrelu', (alpha) => withParameters(alpha, [], 1, 0, (x, a) => (x > a ? x : 0))],
  ['elu', (alpha) => withParameters(alpha, [], 1, 0, eluOf)],
  ['scaledtanh', (alpha, beta) => withParameters(alpha, beta, 1, 1, (x, a, b) => a * tanh(b * x))],
  [
    'hardsigmoid',
    (alpha, beta) => withParameters(alpha, beta, 0.2, 0.5, (x, a, b) => Math.min(1, Math.max(0, a * x + b))),
  ],
]);

function withParameters(
  alpha: Parameters,
  beta: Parameters,
  defaultAlpha: number,
  defaultBeta: number,
  of: (x: number, alpha: number, beta: number) => number,
): Activation {
  const [a, b] = [alpha.shift() ?? defaultAlpha, beta.shift() ?? defaultBeta];
  return (x) => of(x, a, b);
}
