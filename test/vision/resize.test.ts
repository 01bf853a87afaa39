import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import type { Picture } from '../../src/vision/picture.ts';
import { cropToAspect, resize } from '../../src/vision/resize.ts';

/** Noise from the generator of Numerical Recipes, so that any language can make the same bytes. */
function noise(width: number, height: number, seed: number): Picture {
  let state = seed;
  const data = Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
  return { width, height, data };
}

// Made with Pillow 13, which shrinks some tall pictures vertically first (not these): Image.frombytes('RGB', from, noise).resize(to, Image.Resampling.BILINEAR).tobytes()
const pillow = [
  {
    from: [7, 5],
    to: [3, 2],
    seed: 1,
    sha256: 'e3039c5c054c8d09b315bb6ad280b2085fd4380d246a273eff30842b2bc2444c',
  },
  {
    from: [64, 48],
    to: [32, 32],
    seed: 2,
    sha256: 'c4640593fe146694059da3556d094c1ecd612773c4c6776dbfaa026348da3fc2',
  },
  {
    from: [33, 31],
    to: [32, 32],
    seed: 3,
    sha256: '9d2933351dfa523b270e343ebd43a0db20d99c47ec0648c367193f3d88a05927',
  },
  {
    from: [3, 2],
    to: [7, 11],
    seed: 4,
    sha256: 'e353995ab59951d31d845ea36604033a80b97c4aff31c5a15ab81ad4133d7e47',
  },
  {
    from: [100, 1],
    to: [10, 1],
    seed: 5,
    sha256: '3242a8e15e20dd19e0d89b5fbea3caabf656d367b4ed6e8b131c73419b86739f',
  },
  {
    from: [1, 1],
    to: [4, 4],
    seed: 6,
    sha256: '71374ce3f026bb3d1ca21013176aed5e6d823921d6dca902597ca2e544b27069',
  },
  {
    from: [640, 481],
    to: [32, 32],
    seed: 7,
    sha256: '58725011d0a1b0b9d4d205e9841652174d88832a7c905d756490004056261cae',
  },
  {
    from: [32, 32],
    to: [224, 224],
    seed: 8,
    sha256: '1c405f5634194a5b80651aa8aba332a76b781b0697425cb7578ad159facd7c99',
  },
] as const;

describe('resize', () => {
  test.each(pillow)('$from to $to gives the bytes of Pillow', ({ from, to, seed, sha256 }) => {
    const resized = resize(noise(from[0], from[1], seed), to[0], to[1], { fit: 'stretch' });
    expect([resized.width, resized.height]).toEqual(to);
    expect(createHash('sha256').update(resized.data).digest('hex')).toBe(sha256);
  });

  test('leaves a picture of the right size as it is', () => {
    const picture = noise(32, 32, 9);
    expect(resize(picture, 32, 32).data).toEqual(picture.data);
  });

  test.each([
    [11, 4, 4, 3],
    [10, 5, 5, 2],
    [9, 4, 4, 2],
  ])(
    'of an odd remainder, the right or bottom loses the greater half: %i by %i',
    (long, short, size, first) => {
      const index = (across: number, along: number) => 20 * across + along;
      const wide = Uint8Array.from({ length: long * short * 3 }, (_, i) => {
        const pixel = Math.floor(i / 3);
        return index(Math.floor(pixel / long), pixel % long);
      });
      const tall = Uint8Array.from({ length: long * short * 3 }, (_, i) => {
        const pixel = Math.floor(i / 3);
        return index(pixel % short, Math.floor(pixel / short));
      });
      const part = Array.from({ length: size * size }, (_, i) => [Math.floor(i / size), i % size]);
      const reds = ({ data }: Picture) => [...data].filter((_, i) => i % 3 === 0);
      expect(reds(cropToAspect({ width: long, height: short, data: wide }, 1, 1))).toEqual(
        part.map(([row, column]) => index(row, first + column)),
      );
      expect(reds(cropToAspect({ width: short, height: long, data: tall }, 1, 1))).toEqual(
        part.map(([row, column]) => index(column, first + row)),
      );
    },
  );

  test('crops the middle by default', () => {
    // Ten columns: three black, four white, three black; the middle square of 4 is all white.
    const data = Uint8Array.from({ length: 10 * 4 * 3 }, (_, i) => {
      const column = Math.floor(i / 3) % 10;
      return column >= 3 && column < 7 ? 255 : 0;
    });
    const picture = { width: 10, height: 4, data };
    expect(new Set(resize(picture, 2, 2).data)).toEqual(new Set([255]));
    expect(new Set(resize(picture, 2, 2, { fit: 'stretch' }).data).has(255)).toBe(false);
  });

  test('crops to any aspect ratio, never to nothing', () => {
    const size = ({ width, height }: Picture) => [width, height];
    expect(size(cropToAspect(noise(7, 5, 1), 1, 1))).toEqual([5, 5]);
    expect(size(cropToAspect(noise(5, 7, 1), 2, 1))).toEqual([5, 2]);
    expect(size(cropToAspect(noise(1, 1000, 1), 1000, 1))).toEqual([1, 1]);
  });

  test.each([
    [0, 32],
    [32, -1],
    [1.5, 32],
    [NaN, 32],
  ])('refuses a size of %d×%d', (width, height) => {
    expect(() => resize(noise(4, 4, 1), width, height)).toThrow(InputError);
  });

  test('refuses what would take more memory than there is, also between its two passes', () => {
    expect(() => resize(noise(4, 4, 1), 1e9, 1e9)).toThrow(/takes more than 268435456 pixels/);
    expect(() => resize(noise(1, 40_000, 1), 40_000, 1, { fit: 'stretch' })).toThrow(/takes more than/);
  });

  test('refuses what is no picture', () => {
    const negative = { width: -3, height: -3, data: new Uint8Array(27) };
    expect(() => resize(negative, 2, 2)).toThrow(
      'resize: picture.width must be a positive integer, got -3\nresize: picture.height must be',
    );
  });
});
