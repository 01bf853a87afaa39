import { products, recurrentOperator } from './recurrent.ts';
import { int } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__GRU.html */
export const gru = recurrentOperator({
  op: 'GRU',
  gates: 3,
  activations: ['sigmoid', 'tanh'],
  attributes: { linear_before_reset: int(0) },
  /** Gates in order: update, reset, hidden. */
  step({ input, hidden: recurrent, weights, bias, activations: [f, g], clip, node }, hidden) {
    const units = hidden.length;
    const gate = (index: number, i: number) =>
      f(clip(input[index * units + i] + recurrent[index * units + i]));
    const reset = Float64Array.from(hidden, (_, i) => gate(1, i));
    const rows = weights.subarray(2 * units * units);
    const candidates =
      node.attributes.linear_before_reset === 1
        ? reset.map((open, i) => open * recurrent[2 * units + i])
        : products(
            rows,
            hidden.map((value, i) => value * reset[i]),
            bias.subarray(2 * units),
          );
    for (let i = 0; i < units; i++) {
      const update = gate(0, i);
      hidden[i] = (1 - update) * g(clip(input[2 * units + i] + candidates[i])) + update * hidden[i];
    }
  },
});
