/** Whatever bytes a file has, decoding it gives a graph that ONNX allows, or a ModelError. */
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { everythingModel as model } from '../support/everything-model.ts';
import { createRandom } from '../support/random.ts';

/** Decodes, and with `whole` takes what was accepted through passes and the encoder. Returns whether it was accepted. */
function survives(bytes: Uint8Array, whole = false): boolean {
  const start = performance.now();
  try {
    const graph = decodeModel(bytes);
    if (whole) decodeModel(encodeModel(optimize(graph)));
    return true;
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    expect(error.message).not.toBe('');
    return false;
  } finally {
    // Not a benchmark: a hang is minutes.
    expect(performance.now() - start).toBeLessThan(10_000);
  }
}

test('the model itself is accepted', () => {
  expect(survives(model, true)).toBe(true);
});

describe('a flipped byte', () => {
  test('in each tenth of the file, 200 times', () => {
    const random = createRandom(200);
    let accepted = 0;
    for (let run = 0; run < 200; run++) {
      const tenth = run % 10;
      const at = Math.floor(((tenth + random.next()) / 10) * model.length);
      const bytes = model.slice();
      bytes[at] = bytes[at] ^ random.int(1, 255);
      if (survives(bytes, true)) accepted++;
    }
    expect(accepted).toBeGreaterThan(20);
    expect(accepted).toBeLessThan(180);
  });

  test('one bit at every place', () => {
    const random = createRandom(1);
    for (let at = 0; at < model.length; at++) {
      const bytes = model.slice();
      bytes[at] = bytes[at] ^ (1 << random.int(0, 7));
      survives(bytes);
    }
  });
});

test('a truncation at every place is an error, but for lost metadata at the end', () => {
  const accepted: number[] = [];
  for (let length = 0; length < model.length; length++) {
    if (survives(model.subarray(0, length))) accepted.push(length);
  }
  expect(accepted.length).toBeLessThanOrEqual(1);
});

test('noise', () => {
  const random = createRandom(9);
  for (let run = 0; run < 300; run++) {
    const noise = Uint8Array.from({ length: random.int(1, 300) }, () => random.int(0, 255));
    expect(survives(noise)).toBe(false);
    // A valid beginning and end, noise between.
    const at = random.int(0, model.length - 8);
    const bytes = model.slice();
    bytes.set(noise.subarray(0, 8), at);
    survives(bytes);
  }
});
