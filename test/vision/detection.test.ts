/** What people do with the outputs of detectors and segmenters, against torchvision, torch, OpenCV and Pillow (make_fixtures.py). */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import {
  argMax,
  letterbox,
  mapToPicture,
  nonMaxSuppression,
  placementOf,
  pointsToPicture,
  rotatedBoxes,
} from '../../src/index-vision.ts';
import type { Picture } from '../../src/vision/picture.ts';
import { resize } from '../../src/vision/resize.ts';

interface Fixtures {
  readonly suppressions: readonly {
    readonly boxes: number[];
    readonly scores: number[];
    readonly classes: number[];
    readonly threshold: number;
    readonly nms: number[];
    readonly batched: number[];
  }[];
  readonly maps: readonly {
    readonly size: [width: number, height: number];
    readonly to: [width: number, height: number];
    readonly values: number[];
    readonly bilinear: number[];
    readonly 'nearest-exact': number[];
  }[];
  readonly argMax: {
    readonly size: [width: number, height: number];
    readonly scores: number[];
    readonly classes: number[];
  };
  readonly rotatedBoxes: {
    readonly size: [width: number, height: number];
    readonly values: number[];
    /** Corners of each, sorted by x, then y. */
    readonly rectangles: [number, number][][];
  };
  readonly letterboxes: readonly {
    readonly from: [width: number, height: number];
    readonly to: [width: number, height: number];
    readonly target: [left: number, top: number, width: number, height: number];
    readonly sha256: string;
  }[];
}

const fixtures = JSON.parse(readFileSync(new URL('detection.json', import.meta.url), 'utf8')) as Fixtures;

function pattern(width: number, height: number): Picture {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set([5 * x, 7 * y, 11 * (x + y)], (y * width + x) * 3);
  }
  return { width, height, data };
}

describe('nonMaxSuppression', () => {
  test.each(fixtures.suppressions)(
    'keeps what torchvision keeps at $threshold',
    ({ boxes, scores, classes, threshold, nms, batched }) => {
      expect(nms.length).toBeLessThan(batched.length);
      expect(nonMaxSuppression(boxes, scores, { threshold })).toEqual(nms);
      expect(nonMaxSuppression(boxes, scores, { threshold, classes })).toEqual(batched);
      const kept = nms.filter((index) => scores[index] >= 0.4);
      expect(nonMaxSuppression(boxes, scores, { threshold, minScore: 0.4 })).toEqual(kept);
      expect(nonMaxSuppression(boxes, scores, { threshold, limit: 3 })).toEqual(nms.slice(0, 3));
    },
  );

  test('takes a box inside another one for the same only by the smaller area', () => {
    const boxes = [0, 0, 10, 10, 2, 2, 5, 5];
    expect(nonMaxSuppression(boxes, [1, 0.5])).toEqual([0, 1]);
    expect(nonMaxSuppression(boxes, [1, 0.5], { overlap: 'minimum' })).toEqual([0]);
  });

  test('leaves boxes at the threshold, and those without an area', () => {
    expect(nonMaxSuppression([0, 0, 2, 1, 0, 0, 1, 1], [1, 0.5], { threshold: 0.5 })).toEqual([0, 1]);
    expect(nonMaxSuppression([3, 3, 3, 3, 3, 3, 3, 3, 9, 9, 1, 1], [1, 2, 3])).toEqual([2, 1, 0]);
    expect(nonMaxSuppression([], [])).toEqual([]);
  });

  test('refuses numbers that do not fit each other or are none', () => {
    expect(() => nonMaxSuppression([0, 0, 1], [1])).toThrow('1 scores go with 4 numbers of boxes, not 3');
    expect(() => nonMaxSuppression([0, 0, 1, 1], [1], { classes: [] })).toThrow('as many classes, not 0');
    expect(() => nonMaxSuppression([0, 0, NaN, 1], [1])).toThrow(InputError);
  });
});

describe('letterbox', () => {
  test.each(fixtures.letterboxes)('of $from in $to is what Pillow pastes', ({ from, to, target, sha256 }) => {
    const { picture, placement } = letterbox(pattern(...from), ...to);
    const [left, top, width, height] = target;
    expect(placement.target).toEqual({ left, top, width, height });
    expect(createHash('sha256').update(picture.data).digest('hex')).toBe(sha256);
  });

  test('puts the picture at the top left where asked to, and fills with what it is given', () => {
    const { picture, placement } = letterbox(pattern(4, 2), 4, 4, { align: 'start', fill: 7 });
    expect(placement.target).toEqual({ left: 0, top: 0, width: 4, height: 2 });
    expect([...picture.data.subarray(24)]).toEqual(new Array(24).fill(7));
    expect([...picture.data.subarray(0, 24)]).toEqual([...pattern(4, 2).data]);
  });
});

describe('pointsToPicture', () => {
  test('leads back from between the bars', () => {
    const { placement } = letterbox(pattern(200, 100), 64, 64);
    // The picture lies at (0, 16) to (64, 48).
    expect([...pointsToPicture([0, 16, 64, 48, 32, 32], placement)]).toEqual([0, 0, 200, 100, 100, 50]);
    expect([...pointsToPicture([-5, 0, 70, 64], placement)]).toEqual([0, 0, 200, 100]);
  });

  test('leads back from a crop to where resize took it from', () => {
    const picture = pattern(101, 60);
    const placement = placementOf(picture, 20, 20);
    expect(placement.source).toEqual({ left: 20, top: 0, width: 60, height: 60 });
    expect([...pointsToPicture([0, 0, 20, 20], placement)]).toEqual([20, 0, 80, 60]);
    const cut = { ...placement.source, data: new Uint8Array(60 * 60 * 3) };
    for (let y = 0; y < 60; y++) {
      const start = (y * 101 + 20) * 3;
      cut.data.set(picture.data.subarray(start, start + 180), y * 180);
    }
    expect(resize(picture, 20, 20).data).toEqual(resize(cut, 20, 20).data);
    expect(placementOf(picture, 20, 20, 'stretch').source).toEqual({
      left: 0,
      top: 0,
      width: 101,
      height: 60,
    });
  });

  test('refuses half a point', () => {
    const placement = placementOf({ width: 2, height: 2 }, 2, 2);
    expect(() => pointsToPicture([1, 2, 3], placement)).toThrow('x and y in turn, not 3 numbers');
  });
});

describe('maps', () => {
  test('argMax gives the classes that torch gives', () => {
    const { size, scores, classes } = fixtures.argMax;
    const mask = argMax(scores, ...size);
    expect([...mask.data]).toEqual(classes);
    expect(() => argMax(scores.slice(1), ...size)).toThrow('not 209 in all');
  });

  test.each(fixtures.maps)(
    'of $size in a picture of $to has the values of torch',
    ({ size, to, ...fixture }) => {
      const [width, height] = size;
      const map = { width, height, data: fixture.values };
      const placement = placementOf({ width: to[0], height: to[1] }, width, height, 'stretch');
      const nearest = mapToPicture(map, placement, { interpolation: 'nearest' });
      expect([...nearest.data]).toEqual([...Float32Array.from(fixture['nearest-exact'])]);
      const linear = mapToPicture(map, placement);
      // torch computes in float32, this in float64.
      for (const [index, value] of fixture.bilinear.entries())
        expect(linear.data[index]).toBeCloseTo(value, 6);
    },
  );

  test('leads a map of less resolution back from between the bars', () => {
    const { placement } = letterbox(pattern(8, 4), 8, 8);
    // Four rows for an input of eight: bars in the first and the last.
    const map = { width: 4, height: 4, data: [9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9] };
    const options = { inputWidth: 8, inputHeight: 8, interpolation: 'nearest' } as const;
    const { data } = mapToPicture(map, placement, options);
    const upper = [1, 1, 2, 2, 3, 3, 4, 4];
    const lower = [5, 5, 6, 6, 7, 7, 8, 8];
    expect([...data]).toEqual([...upper, ...upper, ...lower, ...lower]);
  });
});

describe('rotatedBoxes', () => {
  const { size, values, rectangles } = fixtures.rotatedBoxes;
  const map = { width: size[0], height: size[1], data: values };
  const pairs = (corners: readonly number[]) =>
    [0, 2, 4, 6].map((i): [number, number] => [corners[i], corners[i + 1]]);

  test('are the smallest rectangles of OpenCV', () => {
    const found = rotatedBoxes(map, { minSide: 0, minScore: 0 });
    expect(found).toHaveLength(rectangles.length);
    for (const [index, { corners }] of found.entries()) {
      for (const [x, y] of rectangles[index]) {
        const distances = pairs(corners).map(([a, b]) => Math.abs(a - x) + Math.abs(b - y));
        // OpenCV computes in float32.
        expect(Math.min(...distances), `rectangle ${index}`).toBeLessThan(1e-3);
      }
    }
  });

  test('leave out what is small or weak, and grow', () => {
    const plain = rotatedBoxes(map);
    expect(plain).toHaveLength(rectangles.length - 1);
    expect(plain[0].score).toBeGreaterThan(0.7);
    expect(rotatedBoxes(map, { minScore: 0.99 })).toEqual([]);
    const [left, top] = plain[0].corners;
    const [grownLeft, grownTop] = rotatedBoxes(map, { grow: 2 })[0].corners;
    const [width, height] = [plain[0].corners[2] - left, plain[0].corners[5] - top];
    const margin = (2 * width * height) / (2 * (width + height));
    expect([left - grownLeft, top - grownTop]).toEqual([
      expect.closeTo(margin, 6),
      expect.closeTo(margin, 6),
    ]);
  });
});
