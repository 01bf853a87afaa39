import { recurrentOperator } from './recurrent.ts';

/** https://onnx.ai/onnx/operators/onnx__RNN.html */
export const rnn = recurrentOperator({
  op: 'RNN',
  gates: 1,
  activations: ['tanh'],
  step({ input, hidden: recurrent, activations: [f], clip }, hidden) {
    for (let i = 0; i < hidden.length; i++) hidden[i] = f(clip(input[i] + recurrent[i]));
  },
});
