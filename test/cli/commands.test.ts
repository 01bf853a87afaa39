/** Every command on a small model, from the float file to the comparison of backends. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, relative } from 'node:path';
import { strFromU8, strToU8, unzipSync, zipSync } from 'fflate';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import * as v from 'valibot';
import { findPictures } from '../../src/cli/pictures.ts';
import type { ModelDiff } from '../../src/inspect/diff.ts';
import type { Inspection } from '../../src/inspect/inspect.ts';
import type { Recipe } from '../../src/quantize/recipe.ts';
import type { DeviceProfile } from '../../src/inspect/target.ts';
import { decodeNpy } from '../../src/inspect/npy.ts';
import type { OnnxRuntimeComparison } from '../../src/inspect/onnx-runtime.ts';
import { inspectionSchema } from '../../src/inspect/schema.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { convNet } from '../support/onnx-models.ts';
import { octet } from './run.ts';
import { CLASSES, useWorkspace } from './workspace.ts';

const path = useWorkspace();

async function json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await octet(...args, '--json');
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as T;
}

beforeAll(async () => {
  const { code, stderr } = await octet(
    ...['quantize', path('float.onnx'), '-c', path('pictures'), '-o', path('int8.onnx')],
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
});

describe('quantize', () => {
  test('for a target: 7-bit activations where its dot product takes them, unless the recipe says otherwise', async () => {
    const recipe = path('own-bits.json');
    writeFileSync(recipe, JSON.stringify({ activations: { bits: 8 } }));
    interface Fitted {
      readonly report: { readonly recipe: Recipe };
      readonly target: Record<'kernels' | 'kernelsOf8Bits', Readonly<Record<string, number>>>;
    }
    const args = ['quantize', path('float.onnx'), '-c', path('pictures'), '-o', path('fitted.onnx')];
    const { report, target } = await json<Fitted>(...args, '--target', 'wasm-relaxed');
    expect(report.recipe.activations.bits).toBe(7);
    expect(target.kernels.relaxed).toBeGreaterThan(target.kernelsOf8Bits.relaxed ?? 0);
    const own = await json<Fitted>(...args, '--target', 'wasm-relaxed', '-r', recipe);
    expect(own.report.recipe.activations.bits).toBe(8);
    const gpu = await octet(...args, '--target', 'webgpu');
    expect(gpu.stdout).toMatch(/nothing to change in the recipe\.\noperations by kernel: .*\n0 host stages/);
    expect((await octet(...args, '--target', 'toaster')).stderr).toMatch(/no device profile "toaster"/);
  });

  test('reports every layer, and writes the same file again', async () => {
    const report = await json(
      'quantize',
      path('float.onnx'),
      '-c',
      path('pictures'),
      '-o',
      path('again.onnx'),
    );
    expect(report).toMatchObject({ file: path('again.onnx'), report: { images: 8 } });
    const { answers } = report as { answers: { picture: string; float: object; int8: object }[] };
    expect(answers.map(({ picture }) => basename(picture))).toEqual([
      '0.png',
      '1.png',
      '3.png',
      '0.png',
      '2.png',
    ]);
    const { results } = await json<{ results: { picture: string; predictions: object[] }[] }>(
      ...['classify', '-m', path('again.onnx'), path('pictures'), '--backend', 'reference'],
    );
    const evaluated = await json<{ results: { predictions: number[] }[] }>(
      ...['evaluate', path('float.onnx'), path('again.onnx'), '-i', path('pictures')],
    );
    for (const { picture, float, int8 } of answers) {
      const index = results.findIndex((result) => result.picture === picture);
      expect(int8).toEqual(results[index].predictions[0]);
      expect(float).toMatchObject({ index: evaluated.results[0].predictions[index] });
    }
    expect(readFileSync(path('again.onnx')).equals(readFileSync(path('int8.onnx')))).toBe(true);
  });

  test('prints a table and sizes, names the output after the model, takes a recipe', async () => {
    writeFileSync(path('recipe.json'), JSON.stringify({ weights: { bits: 4 } }));
    const { code, stdout } = await octet(
      ...['quantize', path('float.onnx'), '-c', path('pictures'), '-r', path('recipe.json'), '--limit', '3'],
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/Calibrated on 3 pictures/);
    expect(stdout).toMatch(/Conv\+Relu +4 /);
    expect(stdout).toContain(`${path('float.int8.onnx')}: `);
    expect(stdout).toMatch(
      /Answers for pictures of the calibration set\npicture +float +int8\n.*0\.png +\w+ \d+\.\d\d % +\w+ /,
    );
  });
});

describe('calibrate', () => {
  test('keeps statistics from which quantize writes the same file, and only for the same model, pictures and recipe', async () => {
    const statistics = path('statistics.json');
    const source = ['-c', path('pictures')];
    const { code } = await octet('calibrate', path('float.onnx'), ...source, '-o', statistics);
    expect(code).toBe(0);
    const from = (...args: string[]) =>
      octet('quantize', ...args, '--statistics', statistics, '-o', path('kept.onnx'));
    expect((await from(path('float.onnx'), ...source)).code).toBe(0);
    expect(readFileSync(path('kept.onnx')).equals(readFileSync(path('int8.onnx')))).toBe(true);
    writeFileSync(path('other.onnx'), encodeModel(convNet(6)));
    const refusals = [
      [await from(path('float.onnx'), ...source, '--limit', '3'), /other pictures/],
      [await from(path('other.onnx'), ...source), /another model/],
    ] as const;
    for (const [{ code: failed, stderr }, message] of refusals) {
      expect(failed).toBe(2);
      expect(stderr).toMatch(message);
    }
    writeFileSync(path('equal.json'), JSON.stringify({ corrections: { equalize: true } }));
    const { stderr } = await from(path('float.onnx'), ...source, '-r', path('equal.json'));
    expect(stderr).toMatch(/calibrate anew with this recipe/);
    writeFileSync(statistics, readFileSync(statistics, 'utf8').replace('"first":', '"first":1e9,"was":'));
    expect((await from(path('float.onnx'), ...source)).stderr).toMatch(/bins that do not exist/);
  });
});

describe('a model without metadata', () => {
  test('is told by quantize how pixels are normalized and what classes are called; compare takes that from either file', async () => {
    writeFileSync(path('bare.onnx'), encodeModel(convNet(5)));
    writeFileSync(path('labels.txt'), `${CLASSES.join('\n')}\n`);
    await json(
      ...['quantize', path('bare.onnx'), '-c', path('pictures'), '-o', path('bare8.onnx')],
      ...['--mean', '0.5,0.5,0.5', '--std', '0.25,0.25,0.25', '--labels', path('labels.txt')],
    );
    const described = await json<Inspection>('inspect', path('bare8.onnx'));
    expect(described.model.metadata).toMatchObject({
      mean: '0.5,0.5,0.5',
      std: '0.25,0.25,0.25',
      labels: CLASSES.join('\n'),
    });
    const same = await json<Inspection>('inspect', path('int8.onnx'));
    expect(described.nodes).toEqual(same.nodes);
    const images = ['-i', path('pictures')];
    expect(await json('compare', path('bare.onnx'), path('bare8.onnx'), ...images)).toMatchObject({
      pictures: 8,
    });
    expect(await json('evaluate', path('bare.onnx'), path('bare8.onnx'), ...images)).toMatchObject({
      images: 8,
      classes: CLASSES,
    });
  });
});

describe('inspect', () => {
  test('a float model', async () => {
    const { model, assumed } = await json<Inspection>('inspect', path('float.onnx'));
    expect(model).toMatchObject({ quantized: false, inputs: [{ name: 'input', shape: ['N', 3, 12, 12] }] });
    expect(assumed).toBe(true);
    // 8 filters of 3·3·3 at 12×12, 13 of 8·3·3 at 6×6, dense 13→16 and 16→10.
    expect(model.macs).toBe(8 * 27 * 144 + 13 * 72 * 36 + 13 * 16 + 16 * 10);
  });

  test('a quantized one, with its memory plan as text and picture', async () => {
    const float = await json<Inspection>('inspect', path('float.onnx'));
    const inspection = await json<Inspection>('inspect', path('int8.onnx'));
    v.parse(inspectionSchema, inspection);
    expect(inspection).toMatchObject({ assumed: false, model: { quantized: true, macs: float.model.macs } });
    const { stdout, code } = await octet(
      'inspect',
      path('int8.onnx'),
      '--plan',
      '--plan-svg',
      path('plan.svg'),
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/activation memory at batch 1: .* in 2 arenas/);
    expect(stdout).toMatch(/^tensor +arena +offset/m);
    expect(readFileSync(path('plan.svg'), 'utf8')).toMatch(/^<svg [^]*<\/svg>/);
  });

  test('on pictures: accuracy, files, levels of detail, and a threshold as exit code', async () => {
    const images = ['-i', path('pictures'), '--float', path('float.onnx')];
    const files = ['--html', path('report.html'), '--svg', path('graph.svg'), '--gv', path('graph.gv')];
    const inspection = await json<Inspection>('inspect', path('int8.onnx'), ...images, ...files);
    v.parse(inspectionSchema, inspection);
    const { accuracy, operations } = inspection;
    expect(accuracy).toMatchObject({ pictures: 8 });
    const { levels } = accuracy!.values[0];
    const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
    expect(sum(levels!.integer)).toBe(sum(levels!.float));
    expect(readFileSync(path('report.html'), 'utf8')).toMatch(/^<!doctype html>[^]*mountReport|id="data"/);
    expect(readFileSync(path('graph.svg'), 'utf8')).toContain('<svg');
    expect(readFileSync(path('graph.gv'), 'utf8')).toMatch(/^digraph /);

    const brief = await octet('inspect', path('int8.onnx'), '--verbose', '0');
    expect(brief.stdout).not.toContain(operations[0].kernel);
    const full = await octet('inspect', path('int8.onnx'), '--verbose', '2', '--measure', 'wasm');
    expect(full.stdout).toMatch(/^operation +kind +kernel/m);
    expect(full.stdout).toMatch(/, measured [\d.]+ (µs|ms)/);

    const worst = Math.min(...accuracy!.values.map(({ sqnr }) => sqnr));
    const held = await octet('inspect', path('int8.onnx'), ...images, '--threshold', String(worst - 1));
    expect(held.code).toBe(0);
    const failed = await octet('inspect', path('int8.onnx'), ...images, '--threshold', String(worst + 0.1));
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(/SQNR below .* dB: /) as string });
  });

  test('a float model on pictures is quantized on the way', async () => {
    const inspection = await json<Inspection>('inspect', path('float.onnx'), '-i', path('pictures'));
    const quantized = await json<Inspection>(
      ...['inspect', path('int8.onnx'), '-i', path('pictures'), '--float', path('float.onnx')],
    );
    expect(inspection.assumed).toBe(false);
    expect(inspection.accuracy).toEqual(quantized.accuracy);
  });

  test('which layer to change: ranked, with a recipe to paste that is one', async () => {
    const recipe = path('two-bits.json');
    const weights = '"weights": { "bits": 2, "rounding": "nearest" }';
    writeFileSync(recipe, `{ ${weights} }`);
    const args = ['inspect', path('float.onnx'), '-i', path('pictures'), '-r', recipe, '--sensitivity'];
    const { code, stdout } = await octet(...args, '--html', path('report.html'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ *1 +\S+ +weights of 2 bits +[\d.]+ % .* 8 bits, \+[\d.]+ k?B/m);
    const [, layers] = /paste into a recipe:\n("layers": \[[^]*?\n\])/.exec(stdout)!;
    writeFileSync(recipe, `{ ${weights}, ${layers} }`);
    const better = await json<Inspection>(...args);
    v.parse(inspectionSchema, better);
    const of = ({ stdout: text }: { stdout: string }) => Number(/all rounded: (-?[\d.]+) dB/.exec(text)![1]);
    expect(better.sensitivity!.all.sqnr).toBeGreaterThan(of({ stdout }) + 3);
    expect((await octet('inspect', path('int8.onnx'), '--sensitivity')).stderr).toMatch(/add --images/);
  });
});

describe('diff', () => {
  test('what another recipe changed, as text, JSON and a report; a threshold as exit code', async () => {
    const recipe = path('four-bits.json');
    writeFileSync(recipe, JSON.stringify({ layers: [{ match: 'conv_*', weights: { bits: 4 } }] }));
    const made = await octet(
      ...['quantize', path('float.onnx'), '-c', path('pictures'), '-r', recipe, '-o', path('int4.onnx')],
    );
    expect(made.code).toBe(0);
    const both = ['diff', path('int8.onnx'), path('int4.onnx')];
    const diff = await json<ModelDiff>(...both);
    const changed = diff.layers.filter(({ differs }) => differs.includes('weightBits'));
    expect(changed.map(({ op }) => op)).toEqual(['Conv', 'Conv']);
    for (const { before, after } of changed) {
      expect([before!.weightBits, after!.weightBits]).toEqual([8, 4]);
      expect(after!.weightBytes).toBe(Math.ceil(before!.weightBytes! / 2));
    }
    const images = ['-i', path('pictures'), '--float', path('float.onnx')];
    const { code, stdout, stderr } = await octet(
      ...[...both, ...images, '--html', path('diff.html'), '--threshold', '1'],
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/SQNR falls by more than 1 dB: /);
    expect(stdout).toMatch(/^layer +operator .*weight bits .*SQNR/m);
    expect(stdout).toMatch(/ 8 → 4 /);
    expect(readFileSync(path('diff.html'), 'utf8')).toContain('"before":');
    const same = await octet('diff', path('int8.onnx'), path('int8.onnx'));
    expect(same.stdout).toMatch(/all \d+ layers are the same/);
  });
});

describe('golden and verify', () => {
  test('a pack of one backend verifies on another; exit code 1 where a tensor differs', async () => {
    const pack = path('golden.zip');
    const made = await octet(
      'golden',
      path('int8.onnx'),
      path('pictures'),
      '-o',
      pack,
      '--limit',
      '2',
      '--no-model',
    );
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/2 pictures/) as string });
    const verify = (...args: string[]) => octet('verify', pack, '--backend', 'wasm', ...args);
    expect((await verify()).stderr).toMatch(/pass the file that it was made from \(--model\)/);
    const held = await verify('-m', path('int8.onnx'));
    expect(held).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^verified: .*, 2 cases/) as string,
    });
    const files = unzipSync(readFileSync(pack));
    const text = strFromU8(files['golden.json']).replace(
      /("sha256": ")[0-9a-f]{8}(?![^]*"sha256")/,
      '$100000000',
    );
    writeFileSync(pack, zipSync({ ...files, 'golden.json': strToU8(text) }));
    const failed = await verify('-m', path('int8.onnx'));
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(/DIFFERS at "/) as string });
  });
});

describe('device', () => {
  test('writes a profile that inspect takes', async () => {
    const profile = await json<DeviceProfile>('device', '--backend', 'wasm');
    // Any memory of this century.
    expect(profile.rates.bandwidth).toBeGreaterThan(0.1);
    expect(profile.rates.bandwidth).toBeLessThan(1000);
    expect(profile).toMatchObject({ profile: 1, backend: 'wasm', source: 'measured' });
    writeFileSync(path('device.json'), JSON.stringify(profile));
    const { target } = await json<Inspection>('inspect', path('int8.onnx'), '--target', path('device.json'));
    expect(target).toEqual(profile);
  });
});

describe('folders of pictures', () => {
  test('class folders are the classes, the named folder itself is not, however it is written; links count', async () => {
    const names = async (folder: string) =>
      (await findPictures([folder])).map(({ name, className }) => [basename(name), className]);
    const flat = ['0.png', '1.png', '2.png', '3.png'].map((name) => [name, undefined]);
    const relativePath = relative(process.cwd(), path('pictures', 'cat'));
    for (const folder of [path('pictures', 'cat'), `./${relativePath}`, `${relativePath}//`]) {
      expect(await names(folder)).toEqual(flat);
    }
    mkdirSync(path('links', 'cat'), { recursive: true });
    symlinkSync(path('pictures', 'cat', '0.png'), path('links', 'cat', 'a.png'));
    symlinkSync(path('nowhere.png'), path('links', 'cat', 'dangling.png'));
    expect(await names(path('links'))).toEqual([['a.png', 'cat']]);
    symlinkSync(path('pictures', 'bird'), path('links', 'bird'));
    symlinkSync(path('links'), path('links', 'cat', 'around'));
    expect(await names(path('links'))).toEqual([
      ...['0.png', '1.png', '2.png', '3.png'].map((name) => [name, 'bird']),
      ['a.png', 'cat'],
    ]);
  });
});

describe('classify', () => {
  test('probabilities of each picture, the same on every backend', async () => {
    interface Output {
      backend: string;
      results: { truth: string; predictions: { label: string; probability: number }[] }[];
    }
    const run = (backend: string) =>
      json<Output>(
        'classify',
        '-m',
        path('int8.onnx'),
        path('pictures'),
        '--top',
        '10',
        '--backend',
        backend,
      );
    const reference = await run('reference');
    const wasm = await run('wasm');
    expect(reference.results.map(({ truth }) => truth)).toEqual(
      ['bird', 'cat'].flatMap((name) => [name, name, name, name]),
    );
    for (const { predictions } of reference.results) {
      expect(predictions.map(({ label }) => label).sort()).toEqual([...CLASSES].sort());
      expect(predictions.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
    }
    const predictions = ({ results }: Output) => results.map((result) => result.predictions);
    expect(predictions(wasm)).toEqual(predictions(reference));
  });

  test('prints percentages', async () => {
    const picture = path('pictures', 'cat', '1.png');
    const { stdout, stderr, code } = await octet(
      'classify',
      '-m',
      path('int8.onnx'),
      picture,
      '--backend',
      'reference',
    );
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(6);
    expect(stdout).toMatch(/^ *\d+\.\d\d % +\w+$/m);
    expect(stderr).toBe('run by reference (octet -v says why)\n');
    const why = await octet('-v', 'classify', '-m', path('int8.onnx'), picture, '--backend', 'reference');
    expect(why.stderr).toMatch(/^run by reference: .+/);
  });
});

test('pictures are taken from addresses', async () => {
  const server = createServer((_, response) => {
    response.end(readFileSync(path('pictures', 'cat', '1.png')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cat.png?size=12`;
  const predictionsFor = async (picture: string) => {
    const { results } = await json<{ results: { predictions: object[] }[] }>(
      ...['classify', '-m', path('int8.onnx'), picture, '--backend', 'wasm'],
    );
    return results[0].predictions;
  };
  try {
    expect(await predictionsFor(address)).toEqual(await predictionsFor(path('pictures', 'cat', '1.png')));
  } finally {
    server.close();
  }
});

describe('run', () => {
  test('says what the outputs are, the same integers on every backend', async () => {
    interface Output {
      outputs: { name: string; shape: number[]; min: number; max: number; digest: string }[];
    }
    const run = (backend: string) =>
      json<Output>(...['run', path('int8.onnx'), path('pictures', 'cat', '1.png'), '--backend', backend]);
    const { outputs } = await run('reference');
    expect(outputs).toMatchObject([
      { shape: [1, 10], digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    ]);
    expect(outputs[0].min).toBeLessThan(outputs[0].max);
    expect((await run('wasm')).outputs).toEqual(outputs);
  });

  test('draws what a detector finds', async () => {
    const out = path('drawn.png');
    const args = ['run', 'models/text-detector.int8.onnx', 'examples/pictures/page.png', '--backend', 'wasm'];
    const { boxes } = await json<{ boxes: { corners: number[]; score: number }[] }>(
      ...[...args, '--input-shape', 'height=192,width=384', '--grow', '1.6', '--draw', out],
    );
    expect(boxes.length).toBeGreaterThanOrEqual(5);
    const [[before], [drawn]] = [
      await findPictures(['examples/pictures/page.png']),
      await findPictures([out]),
    ];
    const [{ data, width, height }, after] = [await before.load(), await drawn.load()];
    expect([after.width, after.height]).toEqual([width, height]);
    for (const { corners } of boxes) {
      for (let corner = 0; corner < 8; corner += 2) {
        const [x, y] = corners.slice(corner, corner + 2).map(Math.floor);
        if (x < 0 || y < 0 || x >= width || y >= height) continue;
        const at = 3 * (y * width + x);
        expect(after.data.subarray(at, at + 3), `${x}, ${y}`).not.toEqual(data.subarray(at, at + 3));
      }
    }
    expect([0, 1, 2].map((c) => after.data[c])).toEqual([0, 1, 2].map((c) => data[c]));
  });

  test('draws only maps, and only into pictures', async () => {
    const picture = path('pictures', 'cat', '1.png');
    const { code, stderr } = await octet('run', path('int8.onnx'), picture, '--draw', path('x.png'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/map of probabilities/);
    expect((await octet('run', path('int8.onnx'), picture, '--draw', path('x.bmp'))).stderr).toMatch(
      /ends in \.png/,
    );
  });
});

test('bench times every batch size on a backend', async () => {
  const { timings } = await json<{ timings: Record<string, number | string>[] }>(
    ...[
      'bench',
      path('int8.onnx'),
      '--backend',
      'wasm',
      '--threads',
      '1',
      '--batch',
      '1,2',
      '--seconds',
      '0.01',
    ],
  );
  expect(timings.map(({ backend, threads, batch }) => [backend, threads, batch])).toEqual([
    ['wasm', 1, 1],
    ['wasm', 1, 2],
  ]);
  for (const { p10, median, p90 } of timings as Record<string, number>[]) {
    expect(p10).toBeGreaterThan(0);
    expect(median).toBeGreaterThanOrEqual(p10);
    expect(p90).toBeGreaterThanOrEqual(median);
  }
});

test('complete offers commands, options and choices, and leaves files to the shell', async () => {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  try {
    for (const words of [['cla'], ['quantize', '--rec'], ['classify', '--backend', 'w'], ['run', 'mod']]) {
      expect((await octet('complete', '--', ...words)).code).toBe(0);
    }
    await octet('complete', 'bash');
  } finally {
    log.mockRestore();
  }
  const script = lines.pop()!;
  expect(lines.map((line) => line.split('\t')[0])).toEqual([
    ...['classify', ':4'],
    ...['--recipe', ':4'],
    ...['webgpu', 'wasm', ':4'],
    ':0',
  ]);
  expect(script).toMatch(/^# bash completion for octet/);
});

describe('evaluate', () => {
  interface Output {
    images: number;
    agreement: number[];
    engines: string[];
    results: { top1: number; correct: number; confusion: number[][]; predictions: number[] }[];
  }

  test('float beside int8, quantized on the fly, on any backend alike', async () => {
    const run = (...args: string[]) =>
      json<Output>('evaluate', ...args, '-i', path('pictures'), '-c', path('pictures'));
    const fly = await run(path('float.onnx'), '--backend', 'wasm');
    expect(fly.images).toBe(8);
    expect(fly.engines).toEqual([expect.stringMatching(/onnxruntime/), expect.stringMatching(/wasm/)]);
    for (const { confusion, correct, predictions } of fly.results) {
      expect(confusion.flat().reduce((a, b) => a + b, 0)).toBe(8);
      expect(confusion.reduce((sum, row, i) => sum + row[i], 0)).toBe(correct);
      expect(predictions).toHaveLength(8);
    }
    const same = fly.results[0].predictions.filter((p, i) => p === fly.results[1].predictions[i]).length;
    expect(fly.agreement).toEqual([1, same / 8]);
    const both = await run(
      ...[
        path('float.onnx'),
        path('int8.onnx'),
        '--backend',
        'wasm',
        '--batch',
        '3',
        '--dynamic-activations',
        '8,1',
      ],
    );
    expect([both.results[0], both.results[3]].map(({ predictions }) => predictions)).toEqual(
      fly.results.map(({ predictions }) => predictions),
    );
    expect(both.engines[2]).toMatch(/rounded to 1 bit/);
  });

  test('the trained ResNet-20: batch norms without a convolution before them, residual additions', async () => {
    const { images, results, agreement } = await json<Output>('evaluate', 'models/resnet20-cifar10.onnx');
    expect(images).toBe(1000);
    const [float, int8] = results.map(({ top1 }) => top1);
    expect(float).toBeGreaterThan(0.91);
    expect(Math.abs(int8 - float)).toBeLessThan(0.01);
    expect(agreement[1]).toBeGreaterThan(0.98);
  });

  test('the trained MobileNetV2: depthwise convolutions, ReLU6', async () => {
    const { images, results, agreement } = await json<Output>('evaluate', 'models/mobilenetv2-cifar10.onnx');
    expect(images).toBe(1000);
    const [float, int8] = results.map(({ top1 }) => top1);
    expect(float).toBeGreaterThan(0.89);
    expect(Math.abs(int8 - float)).toBeLessThan(0.01);
    expect(agreement[1]).toBeGreaterThan(0.98);
  });

  test('class folders of other names, by a label map', async () => {
    mkdirSync(path('renamed'));
    symlinkSync(path('pictures', 'bird'), path('renamed', 'n01503061'));
    symlinkSync(path('pictures', 'cat'), path('renamed', 'n02121620'));
    const run = (...args: string[]) => octet('evaluate', path('int8.onnx'), '-i', ...args, '--json');
    const { stderr } = await run(path('renamed'));
    expect(stderr).toMatch(/is of class "n01503061", which is none of airplane.*--label-map/);
    writeFileSync(path('map.json'), JSON.stringify({ n01503061: 'bird', n02121620: 3 }));
    const evaluated = async (...args: string[]) =>
      (JSON.parse((await run(...args)).stdout) as Output).results[0].confusion;
    expect(await evaluated(path('renamed'), '--label-map', path('map.json'))).toEqual(
      await evaluated(path('pictures')),
    );
    writeFileSync(path('wrong.json'), JSON.stringify({ n01503061: ['bird'] }));
    expect((await run(path('renamed'), '--label-map', path('wrong.json'))).stderr).toMatch(/is no label map/);
  });

  test('prints accuracy, classes and confusion', async () => {
    const { stdout, code } = await octet(
      ...['evaluate', path('int8.onnx'), '-i', path('pictures'), '--backend', 'wasm', '--limit', '5'],
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^5 pictures/);
    expect(stdout).toMatch(/^bird +\d+\.\d\d %$/m);
    expect(stdout).toMatch(/Confusion of/);
  });
});

test('sweep fills its table', async () => {
  const { stdout, code } = await octet(
    ...[
      'sweep',
      path('float.onnx'),
      '-w',
      '8,2',
      '-a',
      '8,3',
      '-i',
      path('pictures'),
      '-c',
      path('pictures'),
    ],
    ...['--backend', 'wasm'],
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(/ A8 +A3\n/);
  expect(stdout).toMatch(/^W8( +\d+\.\d\d %){2}\nW2( +\d+\.\d\d %){2}$/m);
});

test('search makes the worst layers of a recipe more exact, and says what each step bought', async () => {
  const coarse = { weights: { bits: 2, rounding: 'nearest' }, activations: { bits: 2 } };
  writeFileSync(path('coarse.json'), JSON.stringify(coarse));
  const args = ['search', path('float.onnx'), '-c', path('pictures'), '-r', path('coarse.json')];
  const { stdout, code } = await octet(...args, '--max-drop', '13', '-o', path('raised.json'));
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ +layer +becomes +noise +loss +drop +constants +expected +on the host\n/m);
  expect(stdout).toMatch(/^✓ +as the recipe says +/m);
  expect(stdout).toMatch(/^✓ .* 8 bits +\d+\.\d\d % +\d.*, \+\d+ B /m);
  const { layers } = JSON.parse(readFileSync(path('raised.json'), 'utf8')) as Recipe;
  expect(layers.length).toBeGreaterThan(0);
  // From there the drop is as small as asked for: layers may have fewer bits again.
  const again = [...args.slice(0, -1), path('raised.json'), '-w', '2', '--max-drop', '13'];
  const { points } = await json<{ points: { drop: number }[] }>(...again);
  expect(points[0].drop).toBeLessThanOrEqual(13);
});

test('search in parts finds what search finds', async () => {
  writeFileSync(path('nearest.json'), JSON.stringify({ weights: { rounding: 'nearest' } }));
  const args = ['search', path('float.onnx'), '-c', path('pictures'), '-w', '4', '-r', path('nearest.json')];
  const all = ['--max-drop', '100'];
  const expected = await json<Record<string, unknown>>(...args, ...all);
  const parts = [];
  for (const shard of ['2/2', '1/2']) {
    const part = await octet(...args, '--shard', shard, '--json');
    expect(part.code).toBe(0);
    const file = path(`part-${shard[0]}.json`);
    writeFileSync(file, part.stdout);
    parts.push(file);
  }
  expect(await json(...args, ...all, '--sensitivities', ...parts)).toEqual(expected);
  const refusal = async (...more: string[]) => (await octet(...args, ...more)).stderr;
  expect(await refusal(...all, '--sensitivities', parts[0])).toMatch(/a part is missing/);
  expect(await refusal(...all, '--limit', '3', '--sensitivities', ...parts)).toMatch(/measured with another/);
  expect(await refusal('--shard', '1/2')).toMatch(/--shard only measures layers/);
});

describe('compare', () => {
  test('two models, worst layer first', async () => {
    const { values } = await json<{ values: { sqnr: number; cosine: number }[] }>(
      ...['compare', path('float.onnx'), path('int8.onnx'), '-i', path('pictures')],
    );
    expect(values.length).toBeGreaterThan(3);
    expect(values.map(({ sqnr }) => sqnr)).toEqual(values.map(({ sqnr }) => sqnr).sort((a, b) => a - b));
    for (const { cosine } of values) expect(cosine).toBeGreaterThan(0.99);
  });

  test('two backends that are equal', async () => {
    const args = ['compare', path('int8.onnx'), '--backend', 'wasm,reference', path('pictures')];
    const equal = await octet(...args);
    expect(equal.code).toBe(0);
    expect(equal.stdout).toMatch(/8 pictures\. wasm equals reference: \d+ tensors/);
    const one = await octet(...args, '--limit', '1');
    expect(one.stdout).toMatch(/^1 picture\. wasm equals/);
  });

  test('thresholds are exit codes', async () => {
    const images = ['-i', path('pictures')];
    const models = ['compare', path('float.onnx'), path('int8.onnx'), ...images];
    expect((await octet(...models, '--threshold', '5')).code).toBe(0);
    const worse = await octet(...models, '--threshold', '90');
    expect(worse).toMatchObject({ code: 1, stderr: expect.stringMatching(/SQNR below 90 dB: /) as string });
  });

  test('with ONNX Runtime: every integer, the tensors of both as a file, and a float model refused', async () => {
    const args = ['-i', path('pictures'), '--with', 'onnxruntime'];
    const { tensors, pictures } = await json<OnnxRuntimeComparison>('compare', path('int8.onnx'), ...args);
    expect(pictures).toBe(8);
    for (const { name, elements, largestDifference } of tensors) {
      expect(elements, name).toBeGreaterThan(0);
      // Next to ties ONNX Runtime rounds another way, and what follows reads that.
      expect(largestDifference, name).toBeLessThanOrEqual(2);
    }
    const held = await octet(
      'compare',
      path('int8.onnx'),
      ...args,
      '--threshold',
      '2',
      '--dump',
      path('both.npz'),
    );
    expect(held.code).toBe(0);
    expect(held.stdout).toMatch(
      /Octet \(wasm\) and ONNX Runtime on 8 pictures, \d+ tensors, [\d,]+ integers: /,
    );
    const arrays = unzipSync(readFileSync(path('both.npz')));
    expect(Object.keys(arrays)).toHaveLength(2 * tensors.length);
    const { shape } = decodeNpy(Object.values(arrays)[0], 'both.npz');
    expect(shape).toEqual(tensors[0].shape);
    expect((await octet('compare', path('float.onnx'), ...args)).stderr).toMatch(
      /has no integers to compare/,
    );
  });
});

describe('--max-activation-bytes', () => {
  test.each([
    ['classify', '-m', path('int8.onnx'), path('pictures')],
    ['evaluate', path('int8.onnx'), '-i', path('pictures')],
    ['compare', path('int8.onnx'), path('pictures'), '--backend', 'wasm,reference'],
  ])('bounds what %s loads', async (...args) => {
    const { code, stderr } = await octet(...args, '--max-activation-bytes', '10');
    expect(stderr).toMatch(/bytes of activations at once .* more than 10: pass a larger maxActivationBytes/);
    expect(code).toBe(2);
  });
});

test('--input-shape says the sizes that a file leaves open, which quantize keeps open', async () => {
  const graph = convNet(5);
  const inputs = graph.inputs.map((input) => ({ ...input, shape: ['N', 3, 'height', 'width'] }));
  const metadata = new Map([
    ['mean', '0.5,0.5,0.5'],
    ['std', '0.25,0.25,0.25'],
  ]);
  writeFileSync(path('open.onnx'), encodeModel({ ...graph, inputs, values: new Map(), metadata }));
  const [file, source] = [path('open.int8.onnx'), ['-c', path('pictures')]];
  const without = await octet('quantize', path('open.onnx'), ...source, '-o', file);
  expect(without.stderr).toMatch(/pass inputShape: .* or --input-shape height=…,width=…/);
  await json('quantize', path('open.onnx'), ...source, '-o', file, '--input-shape', 'height=16,width=20');
  const shapeOf = async (...args: string[]) =>
    (await json<Inspection>('inspect', file, ...args)).model.inputs[0].shape;
  expect(await shapeOf('--input-shape', 'input=1x3x8x9')).toEqual(['N', 3, 8, 9]);
  expect((await octet('inspect', file)).stderr).toMatch(/--input-shape height=…,width=…/);
  const sizes = ['--input-shape', 'height=16,width=20', '--json'];
  for (const args of [
    [path('open.onnx'), '--sensitivity'],
    [file, '--float', path('open.onnx')],
  ]) {
    const { stdout } = await octet('inspect', ...args, '-i', path('pictures'), '--limit', '2', ...sizes);
    expect(JSON.parse(stdout)).toMatchObject({ accuracy: { pictures: 2 } });
  }
  const packed = await octet('golden', file, path('pictures'), '-o', path('open.zip'), '--limit', '1');
  expect(packed).toMatchObject({ code: 0, stdout: expect.stringMatching(/1 picture/) as string });
  expect(await octet('verify', path('open.zip'), '--backend', 'wasm')).toMatchObject({ code: 0 });
  const wrong = await octet('inspect', file, '--input-shape', 'height=');
  expect(wrong.stderr).toMatch(/must be like height=224,width=320/);
});
