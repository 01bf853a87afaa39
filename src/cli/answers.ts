/** What a classifier says of a few pictures, in float and quantized: a first look at what quantization cost. */
import type { Graph } from '../graph/graph.ts';
import { loadModel } from '../model/load.ts';
import type { LoadOptions } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { softmax, topK, type RankedClass } from '../vision/ranking.ts';
import { openFloatClassifier } from './classifiers.ts';
import { percent, print, table } from './output.ts';
import type { PictureItem } from './pictures.ts';

export interface Answers {
  readonly picture: string;
  readonly float: RankedClass;
  readonly int8: RankedClass;
}

const PICTURES = 5;

/**
 * Both models' answers for pictures from all over the list.
 *
 * @returns none where the model is no classifier: outputs other than scores [N, classes]
 */
export async function compareAnswers(
  float: Graph,
  quantized: Graph,
  items: readonly PictureItem[],
  sizes: Pick<LoadOptions, 'inputShape'>,
  signal: AbortSignal,
): Promise<Answers[]> {
  if (float.outputs.length !== 1 || float.outputs[0].shape.length !== 2) return [];
  const count = Math.min(PICTURES, items.length);
  const chosen = Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]);
  const model = await loadModel(quantized, { backend: 'wasm', signal, ...sizes });
  try {
    const classifier = await openFloatClassifier('float', await readGraph(float, { signal, ...sizes }));
    try {
      const answers: Answers[] = [];
      for (const item of chosen) {
        const picture = await item.load();
        const { predictions } = await model.classify(picture, { topK: 1, signal });
        const [scores] = await classifier.scores([picture]);
        const probabilities = model.outputs[0].activation === 'softmax' ? scores : softmax(scores);
        const [best] = topK(probabilities, model.labels, 1);
        answers.push({ picture: item.name, float: best, int8: predictions[0] });
      }
      return answers;
    } finally {
      await classifier.dispose();
    }
  } finally {
    model.dispose();
  }
}

export function printAnswers(answers: readonly Answers[]): void {
  const told = ({ label, probability }: RankedClass) => `${label} ${percent(probability)}`;
  print('\nAnswers for pictures of the calibration set');
  print(
    table(
      ['picture', 'float', 'int8', ''],
      answers.map(({ picture, float, int8 }) => [
        picture,
        told(float),
        told(int8),
        float.index === int8.index ? '' : 'differs',
      ]),
    ),
  );
}
