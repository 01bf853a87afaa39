import { describe, expect, test, vi } from 'vitest';
import { InputError } from '../../src/errors.ts';
import type { Picture } from '../../src/vision/picture.ts';
import { evaluateClassifiers, type Classifier, type LabelledPicture } from '../../src/model/evaluate.ts';

const classes = ['a', 'b', 'c', 'd', 'e', 'f'];

/** A picture of one pixel, whose red says which it is. */
const pictureOf = (red: number, label: number): LabelledPicture => ({
  label,
  load: () => Promise.resolve({ width: 1, height: 1, data: Uint8Array.of(red, 0, 0) }),
});

const classifierOf = (name: string, scores: (red: number) => readonly number[]): Classifier => ({
  name,
  scores: (pictures) => Promise.resolve(pictures.map(({ data }) => scores(data[0]))),
});

const perfect = classifierOf('perfect', (red) => classes.map((_, index) => (index === red ? 1 : 0)));
const undecided = classifierOf('undecided', () => classes.map(() => 0));

describe('evaluateClassifiers', () => {
  test('seconds are those of all batches, each classifier its own, the pictures not counted', async () => {
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    const taking = (ms: number) => ({
      name: `${ms} ms a batch`,
      scores: (pictures: readonly Picture[]) => {
        now += ms;
        return Promise.resolve(pictures.map(() => classes.map(() => 0)));
      },
    });
    const pictures = [0, 1, 2, 3, 4].map((label) => ({
      label,
      load: () => {
        now += 7;
        return pictureOf(label, label).load();
      },
    }));
    try {
      const options = { classes, batch: 2 };
      const { results } = await evaluateClassifiers([taking(40), taking(500)], pictures, options);
      expect(results[0].seconds).toBeCloseTo(0.12, 12);
      expect(results[1].seconds).toBeCloseTo(1.5, 12);
    } finally {
      clock.mockRestore();
    }
  });

  test('counts, over batches of any size, who is right and how far they agree', async () => {
    const pictures = [0, 1, 1, 5].map((label) => pictureOf(label, label));
    for (const batch of [1, 3, 8]) {
      const evaluation = await evaluateClassifiers([perfect, undecided], pictures, { classes, batch });
      expect(evaluation).toMatchObject({ images: 4, agreement: [1, 0.25] });
      const [first, second] = evaluation.results;
      expect(first).toMatchObject({
        name: 'perfect',
        correct: 4,
        top1: 1,
        top5: 1,
        predictions: [0, 1, 1, 5],
      });
      expect(first.perClass).toEqual([1, 1, NaN, NaN, NaN, 1]);
      // Ties go to the lower index: the sixth class is not among the first five.
      expect(second).toMatchObject({ correct: 1, top1: 0.25, top5: 0.75, predictions: [0, 0, 0, 0] });
      expect(second.confusion.map((row) => row[0])).toEqual([1, 2, 0, 0, 0, 1]);
    }
  });

  test.each<[string, readonly Classifier[], readonly LabelledPicture[], number, RegExp]>([
    ['a batch of none', [perfect], [pictureOf(0, 0)], 0, /batch must be a positive integer, got 0/],
    ['no classifier', [], [pictureOf(0, 0)], 1, /at least one classifier/],
    ['no picture', [perfect], [], 1, /at least one picture/],
    ['a label that is no class', [perfect], [pictureOf(0, 6)], 1, /label 6, but there are 6 classes/],
    ['other classes', [classifierOf('x', () => [1])], [pictureOf(0, 0)], 1, /x gives 1 scores/],
  ])('refuses %s', async (_, classifiers, pictures, batch, message) => {
    const refused = evaluateClassifiers(classifiers, pictures, { classes, batch });
    await expect(refused).rejects.toThrow(InputError);
    await expect(refused).rejects.toThrow(message);
  });
});
