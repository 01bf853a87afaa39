import { expect, it } from 'vitest';
import { planMemory } from '../../src/schedule/memory.ts';
import { planToSvg } from '../../src/schedule/picture.ts';
import { plannedTensors, stepsOf } from '../../src/schedule/steps.ts';
import { vgg16Shapes } from '../support/vgg16-shapes.ts';

function pictureOf(program: ReturnType<typeof vgg16Shapes>): string {
  const steps = stepsOf(program);
  return planToSvg(planMemory(plannedTensors(program, 1), steps, { alignment: 256, separate: true }), steps);
}

it('draws every buffer inside the picture, with its name and bytes as a tooltip', () => {
  const program = vgg16Shapes();
  const svg = pictureOf(program);
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number);
  const buffers = [
    ...svg.matchAll(
      /<g><title>([^<]*)<\/title><rect [^>]*x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g,
    ),
  ];
  expect(buffers).toHaveLength(program.tensors.length);
  for (const [, title, ...numbers] of buffers) {
    const [x, y, w, h] = numbers.map(Number);
    expect(title).toMatch(/^t\d+: [\d.]+ (B|KiB)/);
    expect(x + w).toBeLessThanOrEqual(width);
    expect(y + h).toBeLessThanOrEqual(height);
    expect(Math.min(x, y, w, h)).toBeGreaterThan(0);
  }
  expect(svg).toContain('peak 80 KiB, 1.00 × the lower bound of 80 KiB');
});

it('escapes names from the model file', () => {
  const program = vgg16Shapes();
  const hostile = { ...program, tensors: program.tensors.map((t) => ({ ...t, name: '<script>"&' })) };
  const svg = pictureOf(hostile);
  expect(svg).not.toContain('<script>');
  expect(svg).toContain('&#60;script&#62;&#34;&#38;');
});
