import { recurrentOperator } from './recurrent.ts';
import { int } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__LSTM.html */
export const lstm = recurrentOperator({
  op: 'LSTM',
  gates: 4,
  hasCell: true,
  activations: ['sigmoid', 'tanh', 'tanh'],
  attributes: { input_forget: int(0) },
  /** Gates in order: input, output, forget, cell. */
  step({ input, hidden: recurrent, peepholes: p, activations: [f, g, h], clip, node }, hidden, cell) {
    const units = hidden.length;
    const gate = (index: number, i: number) => input[index * units + i] + recurrent[index * units + i];
    const peephole = (index: number, i: number) => (p ? p[index * units + i] : 0);
    const isCoupled = node.attributes.input_forget === 1;
    for (let i = 0; i < units; i++) {
      const open = f(clip(gate(0, i) + peephole(0, i) * cell[i]));
      const forget = isCoupled ? 1 - open : f(clip(gate(2, i) + peephole(2, i) * cell[i]));
      cell[i] = forget * cell[i] + open * g(clip(gate(3, i)));
      hidden[i] = f(clip(gate(1, i) + peephole(1, i) * cell[i])) * h(cell[i]);
    }
  },
});
