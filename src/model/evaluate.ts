/** Accuracy of several models on the same labelled pictures, and how far they agree. */
import * as v from 'valibot';
import { asyncOptions, check, count, fn, index, numbers, text, texts } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { AsyncOptions } from '../progress.ts';
import type { Picture } from '../vision/picture.ts';

/** A model as evaluation sees it. */
export interface Classifier {
  readonly name: string;
  /** Scores (logits or probabilities) of each picture, one a class. */
  scores(pictures: readonly Picture[]): Promise<readonly ArrayLike<number>[]>;
}

export interface LabelledPicture {
  /** Index of the true class. */
  readonly label: number;
  readonly load: () => Promise<Picture>;
}

export interface EvaluateOptions extends AsyncOptions {
  /** Class names, in the order of the scores. */
  readonly classes: readonly string[];
  /** Pictures a batch. Default 8. */
  readonly batch?: number;
}

export interface ClassifierResult {
  readonly name: string;
  readonly images: number;
  readonly correct: number;
  /** Share of pictures whose true class scores highest, 0 to 1. */
  readonly top1: number;
  /** Share of pictures whose true class is among the five that score highest. */
  readonly top5: number;
  /** Top-1 of each class; NaN for a class without pictures. */
  readonly perClass: readonly number[];
  /** `confusion[truth][prediction]`: number of pictures. */
  readonly confusion: readonly (readonly number[])[];
  /** Class predicted for each picture. */
  readonly predictions: readonly number[];
  readonly seconds: number;
}

export interface Evaluation {
  readonly images: number;
  readonly classes: readonly string[];
  readonly results: readonly ClassifierResult[];
  /** Share of pictures on which the first and each classifier predict the same class (1 for the first itself). */
  readonly agreement: readonly number[];
}

const evaluateArguments = {
  classifiers: v.pipe(
    v.array(v.object({ name: text, scores: fn }, 'a classifier { name, scores }'), 'a list of classifiers'),
    v.minLength(1, 'a list of at least one classifier'),
  ),
  pictures: v.pipe(
    v.array(v.object({ label: index, load: fn }, 'a picture { label, load }'), 'a list of pictures'),
    v.minLength(1, 'a list of at least one picture'),
  ),
  options: v.object(
    {
      classes: texts,
      batch: v.optional(count),
      signal: v.optional(asyncOptions.signal),
      onProgress: v.optional(asyncOptions.onProgress),
    },
    'an object with classes',
  ),
};

/**
 * Runs every classifier on every picture. Ties go to the lower class index.
 * @throws {InputError} no classifier, no picture, a label that is no class, or a model with another number of classes
 */
export async function evaluateClassifiers(
  classifiers: readonly Classifier[],
  pictures: readonly LabelledPicture[],
  options: EvaluateOptions,
): Promise<Evaluation> {
  check('evaluateClassifiers', evaluateArguments, { classifiers, pictures, options });
  const { classes, batch = 8, signal, onProgress } = options;
  const wrong = pictures.find(({ label }) => label >= classes.length);
  if (wrong)
    throw new InputError(`a picture has label ${wrong.label}, but there are ${classes.length} classes`);

  const tallies = classifiers.map(({ name }) => new Tally(name, classes.length, pictures.length));
  for (let start = 0; start < pictures.length; start += batch) {
    signal?.throwIfAborted();
    const items = pictures.slice(start, start + batch);
    const loaded = await Promise.all(items.map((item) => item.load()));
    for (const [index, classifier] of classifiers.entries()) {
      const before = performance.now();
      const scores = await classifier.scores(loaded);
      check(classifier.name, { scores: v.array(numbers, 'a list of scores a picture') }, { scores });
      if (scores.length !== loaded.length) {
        throw new InputError(
          `${classifier.name} gives scores of ${scores.length} pictures for ${loaded.length}`,
        );
      }
      tallies[index].seconds += (performance.now() - before) / 1000;
      for (const [offset, { label }] of items.entries())
        tallies[index].add(start + offset, label, scores[offset]);
    }
    onProgress?.({ stage: 'evaluate', done: start + items.length, total: pictures.length });
  }

  const results = tallies.map((tally) => tally.result());
  return { images: pictures.length, classes, results, agreement: agreementOf(results) };
}

/**
 * Joins evaluations of parts of a data set, in the parts' order, into what one evaluation of all of it is.
 * @throws {InputError} no part, or parts of other models or classes
 */
export function mergeEvaluations(parts: readonly Evaluation[]): Evaluation {
  const [first] = parts;
  if (!first) throw new InputError('there is nothing to merge');
  const same = (of: (part: Evaluation) => unknown) =>
    parts.every((part) => JSON.stringify(of(part)) === JSON.stringify(of(first)));
  if (!same(({ classes }) => classes) || !same(({ results }) => results.map(({ name }) => name))) {
    throw new InputError('the parts are evaluations of other models or classes: merge those of one command');
  }
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const results = first.results.map(({ name }, index): ClassifierResult => {
    const of = parts.map((part) => part.results[index]);
    const images = sum(of.map((result) => result.images));
    const correct = sum(of.map((result) => result.correct));
    const confusion = first.classes.map((_, truth) =>
      first.classes.map((__, answer) => sum(of.map((result) => result.confusion[truth][answer]))),
    );
    return {
      name,
      images,
      correct,
      top1: correct / images,
      // Shares of whole numbers: the products are whole again.
      top5: sum(of.map((result) => Math.round(result.top5 * result.images))) / images,
      perClass: perClassOf(confusion),
      confusion,
      predictions: of.flatMap((result) => result.predictions),
      seconds: sum(of.map((result) => result.seconds)),
    };
  });
  return { images: results[0].images, classes: first.classes, results, agreement: agreementOf(results) };
}

function agreementOf(results: readonly ClassifierResult[]): number[] {
  const [first] = results;
  return results.map(
    ({ predictions }) =>
      predictions.filter((prediction, i) => prediction === first.predictions[i]).length / first.images,
  );
}

function perClassOf(confusion: readonly (readonly number[])[]): number[] {
  return confusion.map((row, label) => row[label] / row.reduce((sum, count) => sum + count, 0));
}

class Tally {
  seconds = 0;
  readonly #name: string;
  readonly #confusion: number[][];
  readonly #predictions: number[];
  #correct = 0;
  #amongFive = 0;

  constructor(name: string, classes: number, images: number) {
    this.#name = name;
    this.#confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
    this.#predictions = new Array<number>(images);
  }

  add(index: number, label: number, scores: ArrayLike<number>): void {
    const classes = this.#confusion.length;
    if (scores.length !== classes) {
      throw new InputError(
        `${this.#name} gives ${scores.length} scores a picture, but the pictures have ${classes} classes`,
      );
    }
    let best = 0;
    let better = 0;
    for (let i = 0; i < classes; i++) {
      if (scores[i] > scores[best]) best = i;
      if (scores[i] > scores[label] || (scores[i] === scores[label] && i < label)) better++;
    }
    this.#predictions[index] = best;
    this.#confusion[label][best]++;
    if (best === label) this.#correct++;
    if (better < 5) this.#amongFive++;
  }

  result(): ClassifierResult {
    const images = this.#predictions.length;
    return {
      name: this.#name,
      images,
      correct: this.#correct,
      top1: this.#correct / images,
      top5: this.#amongFive / images,
      perClass: perClassOf(this.#confusion),
      confusion: this.#confusion,
      predictions: this.#predictions,
      seconds: this.seconds,
    };
  }
}
