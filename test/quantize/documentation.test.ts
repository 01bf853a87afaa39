import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { quantizationExample } from '../../scripts/quantization-example.ts';
import { parseRecipe, type RecipeInput } from '../../src/quantize/recipe.ts';
import { observers } from '../../src/quantize/observers.ts';

const page = await readFile(new URL('../../docs/quantization.md', import.meta.url), 'utf8');

describe('docs/quantization.md', () => {
  it('quotes the numbers of its example as the code computes them', () => {
    const blocks = [...page.matchAll(/^```example (\w+)\n([^`]*)```$/gm)].map(([, step, text]) => [
      step,
      text.trimEnd().split('\n'),
    ]);
    expect(Object.fromEntries(blocks)).toEqual(quantizationExample());
  });

  it('stays within half a step of the real result, as it says', () => {
    const { real, requantize, activations } = quantizationExample();
    const numbers = (line: string): number[] => [...line.matchAll(/-?\d+(?:\.\d+)?/g)].map(Number);
    const expected = numbers(real[0]);
    const actual = numbers(requantize.at(-1)).slice(-2);
    const [step] = numbers(activations[1]);
    expected.forEach((y, c) => expect(Math.abs(y - actual[c])).toBeLessThanOrEqual(step / 2));
  });

  it('shows a recipe that is one, and every observer', () => {
    const [, json] = /^```json\n([^`]*)```$/m.exec(page)!;
    expect(() => parseRecipe(JSON.parse(json) as RecipeInput)).not.toThrow();
    const rows = [...page.matchAll(/^\| `(\w+)` /gm)].map(([, name]) => name);
    expect(rows).toEqual(Object.keys(observers));
  });
});
